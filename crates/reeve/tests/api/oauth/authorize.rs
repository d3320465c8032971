//! `GET /_reeve/pages/authorize`

use http::Method;
use reeve_testkit::{on_both_engines, unescaped};
use serde_json::json;

use crate::oauth_kit::*;

/// A native client with redirect URIs of all kinds.
fn native() -> serde_json::Value {
    changed(json!({
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback", "com.example.app:/callback", REDIRECT],
    }))
}

on_both_engines! {
    #[config(enabled)]
    async fn a_request_leads_to_consent(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        // A person who has not signed in does so first, and comes back.
        let mut stranger = stranger(&server);
        let reply = stranger.open(&authorize(&client_id, &[])).await;
        let consent = reply.header("location").to_owned();
        assert_eq!(reply.status, 303, "{}", reply.body);
        let reply = stranger.open(&consent).await;
        let login = reply.header("location");
        assert_eq!(reply.status, 303);
        assert_eq!(fields(login, '?'), [("to".to_owned(), consent)].into());
        let mut alice = person(&server, "alice").await;
        asked(&mut alice, &authorize(&client_id, &[])).await;
    }

    #[config(enabled)]
    async fn a_client_or_redirect_uri_that_is_unknown_stops_the_browser(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        for request in [
            authorize("unknown", &[]),
            authorize("", &[]),
            authorize(&client_id, &[("redirect_uri", "")]),
            authorize(&client_id, &[("redirect_uri", "https://evil.example/")]),
            authorize(&client_id, &[("redirect_uri", "https://app.example.com/")]),
            authorize(&client_id, &[("redirect_uri", "https://app.example.com/callback/")]),
            authorize(&client_id, &[("redirect_uri", "https://app.example.com/callback?x=y")]),
            authorize(&client_id, &[("redirect_uri", "https://app.example.com/other/../callback")]),
            authorize(&client_id, &[("redirect_uri", "https://app.example.com:443/callback")]),
            authorize(&client_id, &[("redirect_uri", "https://APP.example.com/callback")]),
            authorize(&client_id, &[("redirect_uri", "https://app.example.com/callback#x")]),
            authorize(&client_id, &[("redirect_uri", "http://app.example.com/callback")]),
            format!("{}&redirect_uri=https%3A%2F%2Fevil.example%2F", authorize(&client_id, &[])),
        ] {
            let reply = alice.open(&request).await;
            assert_eq!((reply.status, reply.header("location")), (400, ""), "{request}");
            assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        }
    }

    #[config(enabled)]
    async fn errors_go_back_to_the_client_with_the_issuer(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let long = "x".repeat(2049);
        for (changes, code) in [
            (vec![("response_type", "")], "invalid_request"),
            (vec![("response_type", "token")], "unsupported_response_type"),
            (vec![("response_type", "code token")], "unsupported_response_type"),
            (vec![("scope", "")], "invalid_scope"),
            (vec![("scope", "openid")], "invalid_scope"),
            (vec![("scope", "urn:matrix:client:api:*")], "invalid_scope"),
            (vec![("scope", "urn:matrix:client:device:PHONE")], "invalid_scope"),
            (vec![("code_challenge", "")], "invalid_request"),
            (vec![("code_challenge", "short")], "invalid_request"),
            (vec![("code_challenge_method", "")], "invalid_request"),
            (vec![("code_challenge_method", "plain")], "invalid_request"),
            (vec![("prompt", "unknown")], "invalid_request"),
            (vec![("prompt", "none login")], "invalid_request"),
            (vec![("prompt", "none")], "consent_required"),
        ] {
            for (mode, separator) in [("query", '?'), ("fragment", '#'), ("", '?')] {
                let changes = [&[("response_mode", mode)][..], &changes].concat();
                let reply = alice.open(&authorize(&client_id, &changes)).await;
                assert_eq!(reply.status, 303, "{changes:?}");
                let location = reply.header("location");
                assert!(location.starts_with(&format!("{REDIRECT}{separator}")), "{location}");
                let fields = fields(location, separator);
                assert_eq!((&*fields["error"], &*fields["state"], &*fields["iss"]), (code, "a state", ISSUER), "{changes:?}");
                assert!(!fields["error_description"].is_empty() && fields.len() == 4, "{location}");
            }
        }
        let reply = alice.open(&authorize(&client_id, &[("response_mode", "form_post")])).await;
        assert_eq!(fields(reply.header("location"), '?')["error"], "invalid_request");
        let reply = alice.open(&authorize(&client_id, &[("state", &long)])).await;
        assert_eq!(fields(reply.header("location"), '#').get("state"), None);
        // A client without a state gets none back.
        let reply = alice.open(&authorize(&client_id, &[("state", ""), ("scope", "")])).await;
        assert_eq!(fields(reply.header("location"), '#').len(), 3);
        // Neither can a client begin here that has not registered for codes.
        let device_only = register(&server, changed(json!({ "grant_types": [DEVICE_GRANT], "response_types": [] }))).await;
        let reply = alice.open(&authorize(&device_only, &[])).await;
        assert_eq!(fields(reply.header("location"), '#')["error"], "unauthorized_client");
    }

    // Anybody can register a client, and could otherwise let this server lead people anywhere.
    #[config(enabled)]
    async fn nobody_is_led_elsewhere_before_signing_in(server: Server) {
        let client_id = register(&server, metadata()).await;
        let mut stranger = stranger(&server);
        let reply = stranger.open(&authorize(&client_id, &[("scope", "openid")])).await;
        assert_eq!((reply.status, reply.header("location")), (400, ""));
        let page = unescaped(reply.html());
        assert!(page.contains("https://app.example.com/callback#error=invalid_scope&error_description="), "{page}");
        assert!(page.contains("My App") && page.contains("example.com"), "{page}");
        // The client asked that no page is shown.
        let reply = stranger.open(&authorize(&client_id, &[("prompt", "none")])).await;
        let fields = fields(reply.header("location"), '#');
        assert_eq!((reply.status, &*fields["error"], &*fields["iss"]), (303, "login_required", ISSUER));
    }

    #[config(enabled)]
    async fn native_clients_listen_on_any_port(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, native()).await;
        let mut alice = person(&server, "alice").await;
        for (uri, good) in [
            ("http://127.0.0.1/callback", true),
            ("http://127.0.0.1:51004/callback", true),
            ("http://127.0.0.1:51004/other", false),
            ("http://localhost:51004/callback", false),
            ("http://127.0.0.1:51004@evil.example/callback", false),
            ("http://127.0.0.1.evil.example/callback", false),
            ("com.example.app:/callback", true),
            ("com.example.app:/other", false),
            ("https://app.example.com:51004/callback", false),
        ] {
            let request = authorize(&client_id, &[("redirect_uri", uri), ("response_mode", "query")]);
            if good {
                let location = allow(&mut alice, &request).await;
                assert!(location.starts_with(&format!("{uri}?code=")), "{location}");
            } else {
                assert_eq!(alice.open(&request).await.status, 400, "{uri}");
            }
        }
    }

    #[config(|config| {
        enabled(config);
        config.policy.registration_enabled = true;
    })]
    async fn a_new_account_comes_first_if_the_client_asks(server: Server) {
        let client_id = register(&server, metadata()).await;
        let mut stranger = stranger(&server);
        let reply = stranger.open(&authorize(&client_id, &[("prompt", "create")])).await;
        let location = reply.header("location");
        assert!(location.starts_with("/_reeve/pages/register?to="), "{location}");
        assert!(fields(location, '?')["to"].starts_with("/_reeve/pages/consent/"), "{location}");
    }

    #[config(enabled)]
    async fn nobody_makes_an_account_where_registration_is_closed(server: Server) {
        let client_id = register(&server, metadata()).await;
        let reply = stranger(&server).open(&authorize(&client_id, &[("prompt", "create")])).await;
        assert!(reply.header("location").starts_with("/_reeve/pages/consent/"), "{}", reply.header("location"));
    }

    // Scripts of other sites have no business with pages (RFC 9700, 2.6), and no site shows them in a frame (4.16).
    #[config(enabled)]
    async fn pages_are_for_browsers_alone(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let page = asked(&mut alice, &authorize(&client_id, &[])).await;
        for path in [&*authorize(&client_id, &[]), &*page] {
            let reply = alice.open(path).await;
            assert_eq!(reply.header("access-control-allow-origin"), "", "{path}");
            assert_eq!(reply.header("x-frame-options"), "DENY", "{path}");
            assert_eq!(reply.header("referrer-policy"), "no-referrer", "{path}");
            assert!(reply.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            assert!(reply.header("cache-control").contains("no-store"), "{path}");
        }
        let reply = server.stranger().send(Method::POST, AUTHORIZE, &[], "").await;
        assert_eq!(reply.status, 405);
    }

    #[config(limited)]
    async fn requests_are_limited_by_address(server: Server) {
        let client_id = register(&server, metadata()).await;
        let mut stranger = stranger(&server);
        for _ in 0..19 {
            assert_eq!(stranger.open(&authorize(&client_id, &[])).await.status, 303);
        }
        assert_eq!(stranger.open(&authorize(&client_id, &[])).await.status, 429);
    }
}
