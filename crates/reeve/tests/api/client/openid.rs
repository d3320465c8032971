//! OpenID tokens, with which users prove their identity to other services.

use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

fn path(user_id: &str) -> String {
    format!("{CS}/user/{}/openid/request_token", enc(user_id))
}

async fn token(client: &Client) -> String {
    let body = ok(client.post(&path(&client.user_id), json!({})).await);
    at(&body, "/access_token").to_owned()
}

async fn user_info(client: &Client, token: &str) -> Reply {
    client.get(&format!("/_matrix/federation/v1/openid/userinfo?access_token={token}")).await
}

on_both_engines! {
    async fn a_token_says_whose_it_is(server: Server) {
        let (alice, bob, stranger) = (server.user("alice").await, server.user("bob").await, server.stranger());
        let body = ok(alice.post(&path("@alice:test"), json!({})).await);
        assert_eq!(
            (&body["token_type"], &body["matrix_server_name"], &body["expires_in"]),
            (&json!("Bearer"), &json!("test"), &json!(3600)),
        );
        let token = at(&body, "/access_token");
        assert_eq!(user_info(&stranger, token).await, (200, json!({ "sub": "@alice:test" })));
        assert_eq!(user_info(&stranger, token).await.status, 200, "it is not used up");
        // It is good for nothing else, nor is another token for this.
        assert_eq!(code(&server.with_token(token).get(&format!("{CS}/account/whoami")).await), (401, "M_UNKNOWN_TOKEN"));
        let own = alice.token.clone().unwrap();
        for unknown in [own.as_str(), "nobody"] {
            assert_eq!(code(&user_info(&stranger, unknown).await), (401, "M_UNKNOWN_TOKEN"), "{unknown}");
        }
        for none in ["", "?access_token="] {
            let reply = stranger.get(&format!("/_matrix/federation/v1/openid/userinfo{none}")).await;
            assert_eq!(code(&reply), (401, "M_MISSING_TOKEN"), "{none}");
        }
        assert_eq!(code(&bob.post(&path("@alice:test"), json!({})).await), (403, "M_FORBIDDEN"));
        server.clock.advance(3_600_001);
        assert_eq!(code(&user_info(&stranger, token).await), (401, "M_UNKNOWN_TOKEN"));
    }

    async fn tokens_end_with_the_account(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (of_alice, of_bob) = (token(&alice).await, token(&bob).await);
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": true })).await);
        assert_eq!(code(&user_info(&admin, &of_alice).await), (401, "M_UNKNOWN_TOKEN"));
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": false })).await);
        assert_eq!(user_info(&admin, &of_alice).await.status, 200);
        ok(admin.post("/_synapse/admin/v1/deactivate/@bob:test", json!({})).await);
        assert_eq!(code(&user_info(&admin, &of_bob).await), (401, "M_UNKNOWN_TOKEN"));
        // Logging out everywhere ends them as well.
        ok(alice.post(&format!("{CS}/logout/all"), json!({})).await);
        assert_eq!(code(&user_info(&admin, &of_alice).await), (401, "M_UNKNOWN_TOKEN"));
    }

    async fn an_administrator_proves_to_be_nobody_else(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let puppet = ok(admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await);
        let puppet = server.with_token(at(&puppet, "/access_token"));
        assert_eq!(code(&puppet.post(&path("@alice:test"), json!({})).await), (403, "M_FORBIDDEN"));
    }

    async fn few_are_valid_at_a_time_and_old_ones_are_pruned(server: Server) {
        let alice = server.user("alice").await;
        let first = token(&alice).await;
        for _ in 0..50 {
            server.clock.advance(1);
            token(&alice).await;
        }
        assert_eq!(user_info(&alice, &first).await.status, 401);
        let last = token(&alice).await;
        assert_eq!(user_info(&alice, &last).await, (200, json!({ "sub": "@alice:test" })));
        let now = reeve_testkit::START.plus(3_700_000);
        let pruned = server.app().db.write(move |tx| reeve_store::openid_tokens::prune(tx, now)).await;
        assert_eq!(pruned.unwrap(), 50);
        let _: Value = ok(alice.get(&format!("{CS}/account/whoami")).await);
    }
}
