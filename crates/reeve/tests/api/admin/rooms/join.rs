//! `POST v1/join/{room_id_or_alias}`.

use http::Method;
use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use super::{error, membership, path};
use crate::rooms_kit::{
    add_alias, at, ban, change_levels, code, create, create_public, enc, invite, join, joined_rooms, list, ok,
};

async fn bring(admin: &Client, room: &str, body: Value) -> Reply {
    admin.post(&format!("/_synapse/admin/v1/join/{}", enc(room)), body).await
}

fn alice() -> Value {
    json!({ "user_id": "@alice:test" })
}

/// The last events of a room, the newest first: type, sender and membership.
async fn last(admin: &Client, room: &str, count: usize) -> Vec<(String, String, String)> {
    let body = ok(admin.get(&path(room, &format!("/messages?dir=b&limit={count}"))).await);
    let text = |event: &Value, pointer: &str| at(event, pointer).to_owned();
    list(&body, "/chunk")
        .iter()
        .map(|event| (text(event, "/type"), text(event, "/sender"), text(event, "/content/membership")))
        .collect()
}

fn member(sender: &str, membership: &str) -> (String, String, String) {
    ("m.room.member".to_owned(), sender.to_owned(), membership.to_owned())
}

on_both_engines! {
    async fn into_a_public_room(server: Server) {
        let (admin, alice_, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        let alias = add_alias(&bob, &room, "place").await;
        for name in [&room, &alias, &room] {
            assert_eq!(bring(&admin, name, alice()).await, (200, json!({ "room_id": room })));
            assert_eq!(joined_rooms(&alice_).await, std::slice::from_ref(&room));
        }
        assert_eq!(last(&admin, &room, 1).await, [member("@alice:test", "join")]);
        // Oneself too.
        assert_eq!(bring(&admin, &room, json!({ "user_id": "@admin:test" })).await, (200, json!({ "room_id": room })));
        assert_eq!(joined_rooms(&admin).await, [room]);
    }

    async fn into_a_private_room(server: Server) {
        let (admin, alice_, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create(&bob, json!({ "preset": "private_chat" })).await;
        let outside = (403, error("M_FORBIDDEN", &format!("@admin:test not in room {room}.")));
        assert_eq!(bring(&admin, &room, alice()).await, outside);
        invite(&bob, &room, "@admin:test").await;
        assert_eq!(bring(&admin, &room, alice()).await, outside);
        assert_eq!(membership(&admin, &room, "@alice:test").await, "");
        join(&admin, &room).await;
        change_levels(&bob, &room, json!({ "invite": 50 })).await;
        assert_eq!(code(&bring(&admin, &room, alice()).await), (403, "M_FORBIDDEN"));
        assert_eq!(membership(&admin, &room, "@alice:test").await, "");
        change_levels(&bob, &room, json!({ "invite": 0 })).await;
        assert_eq!(bring(&admin, &room, alice()).await, (200, json!({ "room_id": room })));
        assert_eq!(last(&admin, &room, 2).await, [member("@alice:test", "join"), member("@admin:test", "invite")]);
        assert_eq!(joined_rooms(&alice_).await, [room]);
    }

    async fn rooms_of_other_rules_need_an_invitation(server: Server) {
        let (admin, _alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        for rule in ["knock", "private"] {
            let rules = json!([{ "type": "m.room.join_rules", "content": { "join_rule": rule } }]);
            let room = create(&bob, json!({ "preset": "private_chat", "initial_state": rules })).await;
            assert_eq!(code(&bring(&admin, &room, alice()).await), (403, "M_FORBIDDEN"), "{rule}");
            assert_eq!(membership(&admin, &room, "@alice:test").await, "");
        }
    }

    async fn people_in_every_state(server: Server) {
        let (admin, bob) = (server.admin().await, server.user("bob").await);
        for name in ["locked", "gone", "suspended", "banned"] {
            server.create(name, false).await;
        }
        admin.put("/_synapse/admin/v2/users/@locked:test", json!({ "locked": true })).await;
        admin.post("/_synapse/admin/v1/deactivate/@gone:test", json!({})).await;
        admin.put("/_synapse/admin/v1/suspend/@suspended:test", json!({ "suspend": true })).await;
        let room = create_public(&bob).await;
        ban(&bob, &room, "@banned:test").await;
        let locked = json!({ "user_id": "@locked:test" });
        assert_eq!(bring(&admin, &room, locked).await, (200, json!({ "room_id": room })));
        assert_eq!(membership(&admin, &room, "@locked:test").await, "join");
        let (gone, text) = (json!({ "user_id": "@gone:test" }), "This account has been deactivated");
        assert_eq!(bring(&admin, &room, gone).await, (403, error("M_FORBIDDEN", text)));
        assert_eq!(membership(&admin, &room, "@gone:test").await, "");
        let text = "Joining rooms while account is suspended is not allowed.";
        let suspended = json!({ "user_id": "@suspended:test" });
        assert_eq!(bring(&admin, &room, suspended.clone()).await, (403, error("M_USER_SUSPENDED", text)));
        assert_eq!(bring(&admin, &room, json!({ "user_id": "@banned:test" })).await.status, 403);
        // Nothing is left behind of a join that fails: no invitation either.
        let private = create(&admin, json!({ "preset": "private_chat" })).await;
        assert_eq!(bring(&admin, &private, suspended).await, (403, error("M_USER_SUSPENDED", text)));
        assert_eq!(membership(&admin, &private, "@suspended:test").await, "");
        ban(&admin, &private, "@banned:test").await;
        assert_eq!(bring(&admin, &private, json!({ "user_id": "@banned:test" })).await.status, 403);
        assert_eq!(membership(&admin, &private, "@banned:test").await, "ban");
    }

    async fn refusals(server: Server) {
        let (admin, bob) = (server.admin().await, server.user("bob").await);
        server.create("alice", false).await;
        let room = create_public(&bob).await;
        for (body, status, refusal) in [
            ("", 400, error("M_NOT_JSON", "Content not JSON.")),
            ("[]", 400, error("M_BAD_JSON", "Content must be a JSON object.")),
            ("{}", 400, error("M_MISSING_PARAM", "Missing params: ['user_id']")),
            (r#"{"user_id":"alice"}"#, 400, error("M_INVALID_PARAM", "Expected UserID string to start with '@'")),
            (r#"{"user_id":"@alice"}"#, 400, error("M_INVALID_PARAM", "Expected UserID of the form '@localname:domain'")),
            (r#"{"user_id":"@alice:other"}"#, 400, error("M_UNKNOWN", "This endpoint can only be used with local users")),
            (r#"{"user_id":"@nobody:test"}"#, 404, error("M_NOT_FOUND", "User not found")),
        ] {
            let reply = admin.send(Method::POST, &format!("/_synapse/admin/v1/join/{}", enc(&room)), &[], body).await;
            assert_eq!(reply, (status, refusal), "{body}");
        }
        for bad in [json!(null), json!(1), json!(["@alice:test"])] {
            assert_eq!(bring(&admin, &room, json!({ "user_id": bad })).await.status, 400);
        }
        for bad in ["bad", "#", "", "@alice:test"] {
            let refusal = error("M_UNKNOWN", &format!("{bad} was not legal room ID or room alias"));
            assert_eq!(bring(&admin, bad, alice()).await, (400, refusal));
        }
        assert_eq!(bring(&admin, "#nope:test", alice()).await, (404, error("M_NOT_FOUND", "Room alias #nope:test not found")));
        assert_eq!(bring(&admin, "!nope:test", alice()).await.status, 404);
        assert_eq!(bring(&admin, &format!("!{}", "A".repeat(43)), alice()).await.status, 404);
    }
}
