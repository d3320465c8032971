//! `POST /_reeve/oauth/register`

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::oauth_kit::*;

on_both_engines! {
    #[config(enabled)]
    async fn equal_registrations_are_one_client(server: Server) {
        let sent = changed(json!({
            "client_name#fr": "Mon application",
            "logo_uri": "https://example.com/logo.png",
            "tos_uri": "https://example.com/tos",
            "policy_uri": "https://legal.example.com/policy",
            "contacts": ["somebody@example.com"],
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"],
        }));
        let reply = server.stranger().post(REGISTER, sent.clone()).await;
        let client_id = reply.text("client_id").to_owned();
        assert_eq!(client_id.len(), 43);
        assert!(reply.header("cache-control").contains("no-store"));
        let mut wanted = sent.clone();
        wanted.as_object_mut().unwrap().swap_remove("contacts");
        wanted["grant_types"] = json!(["authorization_code", "refresh_token"]);
        wanted["client_id"] = json!(client_id);
        assert_eq!(reply, (201, wanted));
        // Keys that are not kept make no difference; others do.
        let mut again = sent.clone();
        again["contacts"] = json!([]);
        assert_eq!(register(&server, again).await, client_id);
        for (key, value) in [("client_name", json!("Other")), ("redirect_uris", json!(["https://example.com/other"]))] {
            let mut other = sent.clone();
            other[key] = value;
            assert_ne!(register(&server, other).await, client_id, "{key}");
        }
    }

    #[config(enabled)]
    async fn what_cannot_be_registered(server: Server) {
        let (bad, redirect, request) = ("invalid_client_metadata", "invalid_redirect_uri", "invalid_request");
        for (changes, code) in [
            (json!({ "client_uri": null }), bad),
            (json!({ "client_uri": 1 }), bad),
            (json!({ "client_uri": "http://example.com/" }), bad),
            (json!({ "client_uri": "https://user@example.com/" }), bad),
            (json!({ "client_name": 1 }), bad),
            (json!({ "client_name": "a\u{202e}b" }), bad),
            (json!({ "client_name": "a\u{0}b" }), request),
            (json!({ "logo_uri": "https://other.org/logo.png" }), bad),
            (json!({ "tos_uri": "https://evilexample.com/" }), bad),
            (json!({ "policy_uri#de": "http://example.com/" }), bad),
            (json!({ "token_endpoint_auth_method": "client_secret_basic" }), bad),
            (json!({ "application_type": "mobile" }), bad),
            (json!({ "grant_types": ["implicit"] }), bad),
            (json!({ "grant_types": ["password"] }), bad),
            (json!({ "response_types": ["token"] }), bad),
            (json!({ "redirect_uris": [] }), redirect),
            (json!({ "redirect_uris": "https://example.com/" }), bad),
            (json!({ "redirect_uris": ["https://other.org/"] }), redirect),
            (json!({ "redirect_uris": ["http://example.com/"] }), redirect),
            (json!({ "redirect_uris": ["https://example.com/#x"] }), redirect),
            (json!({ "redirect_uris": ["http://localhost/"] }), redirect),
            (json!({ "redirect_uris": ["com.example.app:/"] }), redirect),
            (json!({ "application_type": "native", "redirect_uris": ["http://localhost:1234/"] }), redirect),
            (json!({ "application_type": "native", "redirect_uris": ["org.other.app:/"] }), redirect),
            (json!({ "application_type": "native", "redirect_uris": ["com.example.app://x"] }), redirect),
            (json!({ "application_type": "native", "redirect_uris": ["javascript:alert(1)"] }), redirect),
        ] {
            let reply = server.stranger().post(REGISTER, changed(changes.clone())).await;
            assert_eq!(error(&reply), (400, code), "{changes}: {}", reply.body);
        }
        let mut without = metadata();
        without.as_object_mut().unwrap().swap_remove("client_uri");
        assert_eq!(error(&server.stranger().post(REGISTER, without).await), (400, bad));
        let reply = server.stranger().post(REGISTER, json!([])).await;
        assert_eq!(error(&reply), (400, request));
        // Each value is allowed, but not all together.
        let long: Vec<String> = (0..20).map(|n| format!("https://example.com/{n}{}", "x".repeat(1000))).collect();
        let reply = server.stranger().post(REGISTER, changed(json!({ "redirect_uris": long }))).await;
        assert_eq!(error(&reply), (400, bad));
        let large = json!({ "client_uri": "https://example.com/", "x": "x".repeat(70_000) });
        assert_eq!(server.stranger().post(REGISTER, large).await.status, 413);
    }

    #[config(enabled)]
    async fn native_clients(server: Server) {
        let uris = ["com.example.app:/callback", "com.example:callback", "http://localhost/", "http://127.0.0.1/a", "http://[::1]/", REDIRECT];
        let sent = changed(json!({ "application_type": "native", "redirect_uris": uris }));
        let reply = server.stranger().post(REGISTER, sent).await;
        assert_eq!((reply.status, &reply.body["redirect_uris"]), (201, &json!(uris)));
    }

    #[config(limited)]
    async fn registrations_are_limited_by_address(server: Server) {
        for number in 0..20 {
            register(&server, changed(json!({ "client_name": format!("App {number}") }))).await;
        }
        let reply = server.stranger().post(REGISTER, metadata()).await;
        assert_eq!(error(&reply), (429, "temporarily_unavailable"));
        assert_eq!(reply.header("retry-after"), "5");
        server.clock.advance(5000);
        register(&server, metadata()).await;
    }

    #[config(enabled)]
    async fn clients_that_nobody_uses_are_forgotten(server: Server) {
        const DAY_MS: i64 = 86_400_000;
        server.create("alice", false).await;
        let (used, unused) = (register(&server, metadata()).await, register(&server, changed(json!({ "client_name": "B" }))).await);
        let mut alice = person(&server, "alice").await;
        let session = session(&server, &mut alice, &used, "PHONE").await;
        server.clock.advance(31 * DAY_MS);
        let now = server.clock.now();
        let prune = move |tx: &mut reeve_db::Tx<'_>| reeve_oauth::prune(tx, now, Some(30 * DAY_MS));
        server.app().db.write(prune).await.unwrap();
        let refused = refresh(&server, &unused, &session.refresh_token).await;
        assert_eq!(error(&refused), (401, "invalid_client"));
        // A client with a session is kept.
        assert_eq!(refresh(&server, &used, &session.refresh_token).await.status, 200);
        let revoked = form(&server.stranger(), REVOKE, &[("token", &session.refresh_token)]).await;
        assert_eq!(revoked, (200, json!({})));
        server.clock.advance(31 * DAY_MS);
        let now = server.clock.now();
        let prune = move |tx: &mut reeve_db::Tx<'_>| reeve_oauth::prune(tx, now, Some(30 * DAY_MS));
        server.app().db.write(prune).await.unwrap();
        assert_eq!(error(&refresh(&server, &used, "rvr_x").await), (401, "invalid_client"));
    }
}
