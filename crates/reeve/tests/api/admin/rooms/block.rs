//! `GET` and `PUT v1/rooms/{room_id}/block`.

use http::Method;
use reeve_testkit::on_both_engines;
use serde_json::json;

use super::{error, membership, path};
use crate::rooms_kit::{CS, add_alias, create, create_public, enc, invite, join, leave, room_path, say};

on_both_engines! {
    async fn blocked_and_free_again(server: Server) {
        let (admin, boss, alice) = (server.admin().await, server.user("boss").await, server.user("alice").await);
        admin.put("/_synapse/admin/v1/users/@boss:test/admin", json!({ "admin": true })).await;
        // A room need not be known to be blocked.
        for room in [create_public(&alice).await, "!unknown:test".to_owned(), format!("!{}", "A".repeat(43))] {
            let block = path(&room, "/block");
            assert_eq!(admin.get(&block).await, (200, json!({ "block": false })));
            for _ in 0..2 {
                assert_eq!(boss.put(&block, json!({ "block": true })).await, (200, json!({ "block": true })));
                assert_eq!(admin.get(&block).await, (200, json!({ "block": true, "user_id": "@boss:test" })));
            }
            for _ in 0..2 {
                assert_eq!(admin.put(&block, json!({ "block": false })).await, (200, json!({ "block": false })));
                assert_eq!(admin.get(&block).await, (200, json!({ "block": false })));
            }
        }
    }

    async fn refusals(server: Server) {
        let admin = server.admin().await;
        let block = path("!room:test", "/block");
        for (body, refusal) in [
            ("", error("M_NOT_JSON", "Content not JSON.")),
            ("[]", error("M_BAD_JSON", "Content must be a JSON object.")),
            ("{}", error("M_MISSING_PARAM", "Missing params: ['block']")),
            (r#"{"block":1}"#, error("M_BAD_JSON", "Param 'block' must be a boolean.")),
            (r#"{"block":"true"}"#, error("M_BAD_JSON", "Param 'block' must be a boolean.")),
            (r#"{"block":null}"#, error("M_BAD_JSON", "Param 'block' must be a boolean.")),
        ] {
            assert_eq!(admin.send(Method::PUT, &block, &[], body).await, (400, refusal), "{body}");
        }
        for bad in ["bad", "#alias:test", "@alice:test", ""] {
            let refusal = (400, error("M_UNKNOWN", &format!("{bad} is not a legal room ID")));
            assert_eq!(admin.get(&path(bad, "/block")).await, refusal);
            assert_eq!(admin.put(&path(bad, "/block"), json!({ "block": true })).await, refusal);
        }
    }

    async fn nobody_comes_in(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (bob, carol) = (server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        let alias = add_alias(&alice, &room, "place").await;
        join(&bob, &room).await;
        invite(&alice, &room, "@carol:test").await;
        admin.put(&path(&room, "/block"), json!({ "block": true })).await;
        let refused = (403, error("M_UNKNOWN", "This room has been blocked on this server"));
        for name in [&room, &alias] {
            for who in [&carol, &admin] {
                assert_eq!(who.post(&format!("{CS}/join/{}", enc(name)), json!({})).await, refused, "{name}");
            }
        }
        assert_eq!(carol.post(&room_path(&room, "join"), json!({})).await, refused);
        assert_eq!(alice.post(&room_path(&room, "invite"), json!({ "user_id": "@admin:test" })).await, refused);
        let by_admin = admin.post(&format!("/_synapse/admin/v1/join/{}", enc(&room)), json!({ "user_id": "@carol:test" })).await;
        assert_eq!(by_admin, refused);
        let knocking = create(&alice, json!({
            "initial_state": [{ "type": "m.room.join_rules", "content": { "join_rule": "knock" } }],
        })).await;
        admin.put(&path(&knocking, "/block"), json!({ "block": true })).await;
        assert_eq!(carol.post(&format!("{CS}/knock/{}", enc(&knocking)), json!({})).await, refused);
        // Members can send and leave.
        say(&bob, &room, "still here").await;
        leave(&bob, &room).await;
        assert_eq!(bob.post(&room_path(&room, "join"), json!({})).await, refused);
        assert_eq!(membership(&admin, &room, "@carol:test").await, "invite");
        admin.put(&path(&room, "/block"), json!({ "block": false })).await;
        join(&bob, &room).await;
        join(&carol, &room).await;
    }
}
