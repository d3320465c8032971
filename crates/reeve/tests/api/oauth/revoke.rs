//! `POST /_reeve/oauth/revoke`

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::oauth_kit::*;

on_both_engines! {
    #[config(enabled)]
    async fn either_token_ends_the_session(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        for (hint, client) in [("access_token", &*client_id), ("refresh_token", ""), ("", "another")] {
            let session = session(&server, &mut alice, &client_id, "PHONE").await;
            // A token that has expired is as good.
            server.clock.advance(300_001);
            let token = if hint == "access_token" { &session.access_token } else { &session.refresh_token };
            let fields = [("token", &**token), ("token_type_hint", hint), ("client_id", client)];
            for _ in 0..2 {
                assert_eq!(form(&server.stranger(), REVOKE, &fields).await, (200, json!({})), "{hint}");
            }
            assert!(!session.is_alive().await);
            assert_eq!(error(&refresh(&server, &client_id, &session.refresh_token).await), (400, "invalid_grant"));
            let devices = admin.get("/_synapse/admin/v2/users/@alice:test/devices").await;
            assert_eq!(devices.body["total"], 0, "{hint}");
        }
    }

    #[config(enabled)]
    async fn other_tokens_are_left_alone(server: Server) {
        let alice = server.user("alice").await;
        let stranger = server.stranger();
        for token in ["unknown", alice.token.as_deref().unwrap()] {
            assert_eq!(form(&stranger, REVOKE, &[("token", token)]).await, (200, json!({})));
        }
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        assert_eq!(error(&form(&stranger, REVOKE, &[]).await), (400, "invalid_request"));
    }

    #[config(limited)]
    async fn guesses_are_limited_by_address(server: Server) {
        let stranger = server.stranger();
        for _ in 0..10 {
            assert_eq!(form(&stranger, REVOKE, &[("token", "rva_guess")]).await, (200, json!({})));
        }
        let reply = form(&stranger, REVOKE, &[("token", "rva_guess")]).await;
        assert_eq!(error(&reply), (429, "temporarily_unavailable"));
    }
}
