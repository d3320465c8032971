//! `POST /_reeve/oauth/token` with codes

use http::Method;
use reeve_testkit::{Reply, on_both_engines};
use serde_json::json;

use crate::oauth_kit::*;

/// The error `invalid_grant`.
const INVALID: (u16, &str) = (400, "invalid_grant");

fn description(reply: &Reply) -> &str {
    reply.text("error_description")
}

on_both_engines! {
    #[config(enabled)]
    async fn a_code_becomes_a_session(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let older = "openid urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:PHONE";
        let code = code(&mut alice, &client_id, &[("scope", older)]).await;
        let reply = exchange(&server, &client_id, &code, &[]).await;
        assert!(reply.header("cache-control").contains("no-store"));
        let (access, refresh) = (reply.text("access_token").to_owned(), reply.text("refresh_token").to_owned());
        assert!(access.starts_with("rva_") && refresh.starts_with("rvr_"), "{}", reply.body);
        let wanted = json!({
            "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 300,
            "scope": older.strip_prefix("openid ").unwrap(),
        });
        assert_eq!(reply, (200, wanted));
        let client = server.with_token(&access);
        let me = json!({ "user_id": "@alice:test", "is_guest": false, "device_id": "PHONE" });
        assert_eq!(client.get(WHOAMI).await, (200, me));
        // For administrators it is a device like others.
        let devices = admin.get("/_synapse/admin/v2/users/@alice:test/devices").await;
        let device = &devices.body["devices"][0];
        assert_eq!((&device["device_id"], &device["display_name"]), (&json!("PHONE"), &json!("My App")));
        // The access token is short-lived.
        server.clock.advance(300_001);
        assert_eq!(client.get(WHOAMI).await.refusal(), (401, "M_UNKNOWN_TOKEN", "Access token has expired"));
    }

    #[config(|config| {
        enabled(config);
        config.policy.oauth_token_lifetime_ms = 120_000;
        config.policy.token_lifetime_ms = Some(3_600_000);
        config.policy.refreshable_token_lifetime_ms = 3_600_000;
    })]
    async fn the_lifetime_is_that_of_the_settings(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let code = code(&mut alice, &client_id, &[]).await;
        let reply = exchange(&server, &client_id, &code, &[]).await;
        assert_eq!(reply.body["expires_in"], 120);
        let reply = refresh(&server, &client_id, reply.text("refresh_token")).await;
        assert_eq!(reply.body["expires_in"], 120);
    }

    #[config(enabled)]
    async fn a_code_is_for_its_client_its_redirect_uri_and_its_secret(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let other = register(&server, changed(json!({ "client_name": "Other" }))).await;
        let mut alice = person(&server, "alice").await;
        let code = code(&mut alice, &client_id, &[]).await;
        for (changes, text) in [
            (vec![("client_id", &*other)], "The code is unknown, or for another client"),
            (vec![("code", "rvc_unknown")], "The code is unknown, or for another client"),
            (vec![("redirect_uri", "https://example.com/")], "The redirect URI is not that of the request"),
            (vec![("code_verifier", "another-verifier-that-is-random-and-long-enough")], "The code verifier is wrong"),
        ] {
            let reply = exchange(&server, &client_id, &code, &changes).await;
            assert_eq!((error(&reply), description(&reply)), (INVALID, text), "{changes:?}");
        }
        for (field, text) in [
            ("code", "Missing params: ['code']"),
            ("redirect_uri", "Missing params: ['redirect_uri']"),
            // Without the secret the code is worth nothing, although the request had a challenge.
            ("code_verifier", "Missing params: ['code_verifier']"),
            ("client_id", "Missing params: ['client_id']"),
            ("grant_type", "Missing params: ['grant_type']"),
        ] {
            let reply = exchange(&server, &client_id, &code, &[(field, "")]).await;
            assert_eq!((error(&reply), description(&reply)), ((400, "invalid_request"), text), "{field}");
        }
        // None of this used the code up.
        assert_eq!(exchange(&server, &client_id, &code, &[]).await.status, 200);
    }

    #[config(enabled)]
    async fn a_code_lives_for_a_minute(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let late = code(&mut alice, &client_id, &[]).await;
        server.clock.advance(59_999);
        let in_time = code(&mut alice, &client_id, &[]).await;
        server.clock.advance(1);
        let reply = exchange(&server, &client_id, &late, &[]).await;
        assert_eq!((error(&reply), description(&reply)), (INVALID, "The code has expired"));
        assert_eq!(exchange(&server, &client_id, &in_time, &[]).await.status, 200);
    }

    #[config(enabled)]
    async fn a_code_that_is_used_again_ends_its_session(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let other = session(&server, &mut alice, &client_id, "LAPTOP").await;
        let code1 = code(&mut alice, &client_id, &[]).await;
        let first = Session::of(&server, &exchange(&server, &client_id, &code1, &[]).await);
        assert!(first.is_alive().await);
        server.clock.advance(90_000);
        let reply = exchange(&server, &client_id, &code1, &[("code_verifier", "stolen-without-the-secret-that-belongs-to-it")]).await;
        assert_eq!((error(&reply), description(&reply)), (INVALID, "The code was used before, so its session has ended"));
        assert!(!first.is_alive().await && other.is_alive().await);
        assert_eq!(error(&refresh(&server, &client_id, &first.refresh_token).await), INVALID);
        // A later session of the same device did not come from the code.
        let code2 = code(&mut alice, &client_id, &[]).await;
        let second = Session::of(&server, &exchange(&server, &client_id, &code2, &[]).await);
        assert_eq!(error(&exchange(&server, &client_id, &code1, &[]).await), INVALID);
        assert!(second.is_alive().await);
    }

    #[config(enabled)]
    async fn a_device_has_one_session(server: Server) {
        let old = server.user("alice").await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let first = session(&server, &mut alice, &client_id, &old.device_id).await;
        assert_eq!(old.get(WHOAMI).await.refusal(), DEAD);
        let second = session(&server, &mut alice, &client_id, &old.device_id).await;
        assert!(!first.is_alive().await && second.is_alive().await);
        // A login in the old way ends it, too, and the device is not one of OAuth 2.0 any more.
        let body = json!({ "type": "m.login.password", "user": "alice", "password": "alice's password", "device_id": old.device_id });
        let login = server.stranger().post("/_matrix/client/v3/login", body).await;
        assert!(!second.is_alive().await);
        let client = server.with_token(login.text("access_token"));
        let asked = client.delete(&format!("/_matrix/client/v3/devices/{}", old.device_id)).await;
        assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.password"] }]));
    }

    #[config(enabled)]
    async fn an_account_that_cannot_log_in_gets_no_session(server: Server) {
        let admin = server.admin().await;
        let client_id = register(&server, metadata()).await;
        for (name, path, body) in [
            ("a", "/_synapse/admin/v2/users/@a:test", json!({ "locked": true })),
            ("b", "/_synapse/admin/v2/users/@b:test", json!({ "deactivated": true })),
        ] {
            server.create(name, false).await;
            let mut browser = person(&server, name).await;
            let code = code(&mut browser, &client_id, &[]).await;
            assert_eq!(admin.put(path, body).await.status, 200);
            assert_eq!(error(&exchange(&server, &client_id, &code, &[]).await), INVALID, "{name}");
        }
        // The end of all sessions is also that of those which are about to begin.
        server.create("c", false).await;
        let mut browser = person(&server, "c").await;
        let code = code(&mut browser, &client_id, &[]).await;
        let reset = json!({ "new_password": "another password" });
        assert_eq!(admin.post("/_synapse/admin/v1/reset_password/@c:test", reset).await.status, 200);
        let reply = exchange(&server, &client_id, &code, &[]).await;
        assert_eq!((error(&reply), description(&reply)), (INVALID, "The code is unknown, or for another client"));
    }

    #[config(enabled)]
    async fn the_way_to_get_access(server: Server) {
        let client_id = register(&server, metadata()).await;
        let stranger = server.stranger();
        for grant in ["password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"] {
            let fields = [("grant_type", grant), ("client_id", &*client_id), ("username", "alice"), ("password", "x")];
            assert_eq!(error(&form(&stranger, TOKEN, &fields).await), (400, "unsupported_grant_type"), "{grant}");
        }
        let plain = register(&server, changed(json!({ "grant_types": ["authorization_code"] }))).await;
        assert_eq!(error(&refresh(&server, &plain, "rvr_x").await), (400, "unauthorized_client"));
        assert_eq!(error(&exchange(&server, "unknown", "rvc_x", &[]).await), (401, "invalid_client"));
        // Parameters come once, as a form.
        let json = json!({ "grant_type": "refresh_token", "client_id": client_id, "refresh_token": "x" });
        assert_eq!(error(&stranger.post(TOKEN, json).await), (400, "invalid_request"));
        let twice = format!("grant_type=refresh_token&client_id={client_id}&client_id={client_id}&refresh_token=x");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(error(&stranger.send(Method::POST, TOKEN, &headers, twice).await), (400, "invalid_request"));
        assert_eq!(stranger.get(TOKEN).await.status, 405);
    }

    #[config(limited)]
    async fn guesses_are_limited_by_address(server: Server) {
        let client_id = register(&server, metadata()).await;
        for _ in 0..10 {
            assert_eq!(error(&exchange(&server, &client_id, "rvc_guess", &[]).await), INVALID);
        }
        let reply = exchange(&server, &client_id, "rvc_guess", &[]).await;
        assert_eq!(error(&reply), (429, "temporarily_unavailable"));
        assert_eq!(reply.header("retry-after"), "6");
        // A mistake in the form is no guess.
        server.clock.advance(6000);
        for _ in 0..3 {
            assert_eq!(error(&exchange(&server, &client_id, "", &[]).await), (400, "invalid_request"));
        }
    }
}
