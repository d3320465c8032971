//! `POST v1/rooms/{room_id_or_alias}/make_room_admin`.

use http::Method;
use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use super::{current_state, error, membership, path};
use crate::rooms_kit::{
    add_alias, at, ban, bring, code, create, create_version, invite, join, leave, of_state, set_state,
    try_state,
};

async fn make(admin: &Client, room: &str, body: Value) -> Reply {
    admin.post(&path(room, "/make_room_admin"), body).await
}

/// The power levels of users.
async fn levels(admin: &Client, room: &str) -> Value {
    let state = current_state(admin, room).await;
    of_state(&state, "m.room.power_levels", "").unwrap()["content"]["users"].clone()
}

/// The last sender of the power levels, and of the membership of an account.
async fn senders(admin: &Client, room: &str, user_id: &str) -> (String, String) {
    let state = current_state(admin, room).await;
    let sender = |kind, key| {
        of_state(&state, kind, key).map(|event| at(event, "/sender").to_owned()).unwrap_or_default()
    };
    (sender("m.room.power_levels", ""), sender("m.room.member", user_id))
}

fn invalid(text: &str) -> (u16, Value) {
    (400, error("M_UNKNOWN", text))
}

on_both_engines! {
    async fn in_a_private_room(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let bob = server.user("bob").await;
        server.create("carol", false).await;
        for version in ["10", "11", "12"] {
            let room = create(&alice, json!({ "preset": "private_chat", "room_version": version })).await;
            bring(&alice, &room, &bob).await;
            // The caller, unless the request names another account. They are invited.
            assert_eq!(make(&admin, &room, json!({})).await, (200, json!({})), "{version}");
            let alice_s = ("@alice:test".to_owned(), "@alice:test".to_owned());
            assert_eq!(senders(&admin, &room, "@admin:test").await, alice_s);
            assert_eq!(membership(&admin, &room, "@admin:test").await, "invite");
            join(&admin, &room).await;
            set_state(&admin, &room, "m.room.topic", "", json!({ "topic": version })).await;
            // A member keeps what they are.
            for _ in 0..2 {
                assert_eq!(make(&admin, &room, json!({ "user_id": "@bob:test" })).await, (200, json!({})));
                assert_eq!(membership(&admin, &room, "@bob:test").await, "join");
            }
            set_state(&bob, &room, "m.room.name", "", json!({ "name": "of bob" })).await;
            // An account outside the room is invited.
            assert_eq!(make(&admin, &room, json!({ "user_id": "@carol:test" })).await, (200, json!({})));
            assert_eq!(membership(&admin, &room, "@carol:test").await, "invite");
            let mut wanted = json!({ "@admin:test": 100, "@bob:test": 100, "@carol:test": 100 });
            if version != "12" {
                // Creators of later versions are not in the list.
                wanted["@alice:test"] = json!(100);
            }
            assert_eq!(levels(&admin, &room).await, wanted, "{version}");
        }
    }

    async fn in_a_public_room(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        server.create("bob", false).await;
        for version in ["10", "12"] {
            let room = create_version(&alice, version).await;
            let before = current_state(&admin, &room).await.len();
            assert_eq!(make(&admin, &room, json!({})).await, (200, json!({})));
            assert_eq!(make(&admin, &room, json!({ "user_id": "@bob:test" })).await, (200, json!({})));
            let levels = levels(&admin, &room).await;
            assert_eq!((&levels["@admin:test"], &levels["@bob:test"]), (&json!(100), &json!(100)));
            // Nobody is invited to a public room.
            assert_eq!(current_state(&admin, &room).await.len(), before);
            join(&admin, &room).await;
            set_state(&admin, &room, "m.room.topic", "", json!({ "topic": "of the admin" })).await;
        }
    }

    async fn the_rest_stays(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_version(&alice, "11").await;
        let levels = json!({
            "users": { "@alice:test": 80, "@other:elsewhere": 7 }, "users_default": 1, "events": { "m.room.name": 3 },
            "state_default": 60, "invite": 2, "notifications": { "room": 20 }, "org.example": [1],
        });
        set_state(&alice, &room, "m.room.power_levels", "", levels.clone()).await;
        let alias = add_alias(&alice, &room, "place").await;
        // As high as the one who gives it, and no higher; the alias is as good as the id.
        assert_eq!(make(&admin, &alias, json!({})).await, (200, json!({})));
        let state = current_state(&admin, &room).await;
        let mut wanted = levels;
        wanted["users"]["@admin:test"] = json!(80);
        assert_eq!(of_state(&state, "m.room.power_levels", "").unwrap()["content"], wanted);
    }

    async fn the_highest_who_is_there(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        server.create("carol", false).await;
        let room = create_version(&alice, "10").await;
        join(&bob, &room).await;
        let give = async |own: i64, needed: i64| {
            let levels = json!({
                "users": { "@alice:test": 100, "@bob:test": own }, "users_default": 0, "state_default": 50,
                "events": { "m.room.power_levels": needed },
            });
            assert_eq!(try_state(&alice, &room, "m.room.power_levels", "", levels).await.status, 200);
        };
        // Bob has some power, yet not to give it away.
        give(50, 100).await;
        leave(&alice, &room).await;
        let refused = invalid("No local admin user in room with power to update power levels.");
        assert_eq!(make(&admin, &room, json!({})).await, refused);
        join(&alice, &room).await;
        give(50, 50).await;
        leave(&alice, &room).await;
        assert_eq!(make(&admin, &room, json!({})).await, (200, json!({})));
        assert_eq!(levels(&admin, &room).await, json!({ "@alice:test": 100, "@bob:test": 50, "@admin:test": 50 }));
        assert_eq!(senders(&admin, &room, "").await.0, "@bob:test");
    }

    async fn nobody_is_there(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        for version in ["10", "12"] {
            let room = create_version(&alice, version).await;
            join(&bob, &room).await;
            leave(&alice, &room).await;
            assert_eq!(make(&admin, &room, json!({})).await, invalid("No local admin user in room"));
            leave(&bob, &room).await;
            assert_eq!(make(&admin, &room, json!({})).await, invalid("Server not in room"));
        }
        for unknown in ["!nope:test".to_owned(), format!("!{}", "A".repeat(43))] {
            assert_eq!(make(&admin, &unknown, json!({})).await, invalid("Server not in room"));
        }
    }

    async fn people_who_were_invited_or_banned(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        server.create("bob", false).await;
        let room = create(&alice, json!({ "preset": "private_chat", "room_version": "11" })).await;
        invite(&alice, &room, "@bob:test").await;
        let before = current_state(&admin, &room).await;
        assert_eq!(make(&admin, &room, json!({ "user_id": "@bob:test" })).await, (200, json!({})));
        let after = current_state(&admin, &room).await;
        let invitation = |state: &[Value]| at(of_state(state, "m.room.member", "@bob:test").unwrap(), "/event_id").to_owned();
        assert_eq!(invitation(&before), invitation(&after), "invited once");
        // A refusal changes nothing.
        server.create("carol", false).await;
        ban(&alice, &room, "@carol:test").await;
        let before = levels(&admin, &room).await;
        assert_eq!(make(&admin, &room, json!({ "user_id": "@carol:test" })).await.status, 403);
        assert_eq!(levels(&admin, &room).await, before);
        assert_eq!(membership(&admin, &room, "@carol:test").await, "ban");
    }

    async fn refusals(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create(&alice, json!({ "preset": "private_chat" })).await;
        let before = levels(&admin, &room).await;
        let post = async |body: &'static str| admin.send(Method::POST, &path(&room, "/make_room_admin"), &[], body).await;
        assert_eq!(post("{").await, (400, error("M_NOT_JSON", "Content not JSON.")));
        assert_eq!(post("[]").await, (400, error("M_BAD_JSON", "Content must be a JSON object.")));
        assert_eq!(make(&admin, &room, json!({ "user_id": "bad" })).await, invalid("Not a valid user_id: bad"));
        assert_eq!(code(&make(&admin, &room, json!({ "user_id": "@nobody:test" })).await), (404, "M_NOT_FOUND"));
        for bad in [json!(1), json!([]), json!("@far:elsewhere")] {
            assert_eq!(make(&admin, &room, json!({ "user_id": bad })).await.status, 400, "{bad}");
        }
        assert_eq!(levels(&admin, &room).await, before);
        for bad in ["bad", "", "@alice:test"] {
            assert_eq!(make(&admin, bad, json!({})).await, invalid(&format!("{bad} was not legal room ID or room alias")));
        }
        let missing = (404, error("M_NOT_FOUND", "Room alias #nope:test not found"));
        assert_eq!(make(&admin, "#nope:test", json!({})).await, missing);
        // No body is an empty one.
        assert_eq!(post("").await, (200, json!({})));
        assert_eq!(levels(&admin, &room).await["@admin:test"], 100);
    }
}
