//! `rooms/{roomId}/upgrade`.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

/// Upgrades a room and gives the id of the new one.
async fn upgrade(client: &Client, room: &str, body: Value) -> String {
    at(&ok(client.post(&room_path(room, "upgrade"), body).await), "/replacement_room").to_owned()
}

async fn power_users(client: &Client, room: &str) -> Value {
    state(client, room, "m.room.power_levels", "").await["users"].clone()
}

on_both_engines! {
    async fn a_room_moves_to_a_new_version(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        for (from, to) in [("9", "10"), ("10", "11"), ("11", "12")] {
            let alias = format!("pub{from}");
            let old = create(&alice, json!({
                "room_version": from, "preset": "public_chat", "name": "Name", "topic": "Topic", "room_alias_name": alias,
                "visibility": "public", "creation_content": { "type": "m.space", "m.federate": false },
                "initial_state": [
                    { "type": "m.room.encryption", "content": { "algorithm": "m.megolm.v1.aes-sha2" } },
                    { "type": "m.room.avatar", "content": { "url": "mxc://test/a" } },
                    { "type": "m.room.history_visibility", "content": { "history_visibility": "invited" } },
                ],
            })).await;
            join(&bob, &old).await;
            set_level(&alice, &old, "@bob:test", 50).await;
            ban(&alice, &old, "@mallory:test").await;
            let reply = ok(alice.post(&room_path(&old, "upgrade"), json!({ "new_version": to })).await);
            let new = at(&reply, "/replacement_room").to_owned();
            let tombstone = state(&bob, &old, "m.room.tombstone", "").await;
            assert_eq!(at(&tombstone, "/replacement_room"), new, "{to}");
            let content = state(&alice, &new, "m.room.create", "").await;
            assert_eq!((at(&content, "/room_version"), at(&content, "/type"), &content["m.federate"]), (to, "m.space", &json!(false)));
            assert_eq!(at(&content, "/predecessor/room_id"), old);
            for (kind, key, value) in [
                ("m.room.name", "name", "Name"), ("m.room.topic", "topic", "Topic"), ("m.room.avatar", "url", "mxc://test/a"),
                ("m.room.join_rules", "join_rule", "public"), ("m.room.encryption", "algorithm", "m.megolm.v1.aes-sha2"),
                ("m.room.history_visibility", "history_visibility", "invited"), ("m.room.canonical_alias", "alias", &*format!("#{alias}:test")),
            ] {
                assert_eq!(state(&alice, &new, kind, "").await[key], value, "{to} {kind}");
            }
            let levels = state(&alice, &new, "m.room.power_levels", "").await;
            assert_eq!(levels["users"]["@bob:test"], 50, "{to}");
            assert_eq!(levels["users"].get("@alice:test").is_some(), to != "12", "{to}: {levels}");
            assert_eq!(membership(&alice, &new, "@mallory:test").await, "ban", "{to}");
            // The alias and the place in the list move with it.
            let found = alice.get(&format!("{CS}/directory/room/{}", enc(&format!("#{alias}:test")))).await;
            assert_eq!(found.text("room_id"), new, "{to}");
            for (room, visibility) in [(&new, "public"), (&old, "private")] {
                let listed = alice.get(&format!("{CS}/directory/list/room/{}", enc(room))).await;
                assert_eq!(listed.text("visibility"), visibility, "{to}");
            }
            // Few may speak in the old room.
            let reply = try_send(&bob, &old, "m.room.message", json!({ "msgtype": "m.text", "body": "x" })).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            let carol = server.user(&format!("carol{to}")).await;
            join(&carol, &old).await;
            let reply = try_send(&carol, &old, "m.room.message", json!({ "msgtype": "m.text", "body": "x" })).await;
            assert_eq!(code(&reply), (403, "M_FORBIDDEN"), "{to}");
            join(&bob, &new).await;
            say(&bob, &new, "here").await;
        }
    }

    async fn who_may_upgrade_and_to_what(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_version(&alice, "10").await;
        join(&bob, &room).await;
        let path = room_path(&room, "upgrade");
        for client in [&bob, &carol] {
            assert_eq!(code(&client.post(&path, json!({ "new_version": "11" })).await), (403, "M_FORBIDDEN"));
        }
        for version in ["99", "com.example"] {
            let reply = alice.post(&path, json!({ "new_version": version })).await;
            assert_eq!(code(&reply), (400, "M_UNSUPPORTED_ROOM_VERSION"), "{version}");
        }
        assert_eq!(alice.post(&path, json!({})).await.status, 400);
        let unknown = alice.post(&room_path("!unknown:test", "upgrade"), json!({ "new_version": "11" })).await;
        assert!(matches!(unknown.status, 403 | 404), "{}", unknown.body);
        assert_eq!(alice.get(&state_path(&room, "m.room.tombstone", "")).await.status, 404);
        assert_eq!(joined_rooms(&alice).await, [room]);
    }

    async fn additional_creators_of_the_new_room(server: Server) {
        let alice = server.user("alice").await;
        let room = create_version(&alice, "11").await;
        let body = json!({ "new_version": "12", "additional_creators": ["@bob:test"] });
        let reply = ok(alice.post(&room_path(&room, "upgrade"), body).await);
        let content = state(&alice, at(&reply, "/replacement_room"), "m.room.create", "").await;
        assert_eq!(content["additional_creators"], json!(["@bob:test"]));
    }

    async fn powers_across_versions(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let with = |version: &str, users: Value, creators: Value| json!({
            "preset": "public_chat", "room_version": version, "power_level_content_override": { "users": users },
            "creation_content": { "additional_creators": creators },
        });
        let none = json!([]);
        // Creators of version 12 have no level of their own.
        let users = json!({ "@alice:test": 100, "@bob:test": 100, "@carol:test": 75 });
        let old = create(&alice, with("11", users, none.clone())).await;
        let body = json!({ "new_version": "12", "additional_creators": ["@bob:test", "@dave:test"] });
        let new = upgrade(&alice, &old, body).await;
        assert_eq!(power_users(&alice, &new).await, json!({ "@carol:test": 75 }));
        join(&bob, &new).await;
        set_level(&bob, &new, "@carol:test", 9_007_199_254_740_991).await;
        // Below version 12 former creators have a level above all others.
        for (users, expected) in [
            (json!({}), json!({ "@alice:test": 150, "@carol:test": 150 })),
            (json!({ "@bob:test": -5 }), json!({ "@bob:test": -5, "@alice:test": 150, "@carol:test": 150 })),
            (json!({ "@bob:test": 200 }), json!({ "@bob:test": 200, "@alice:test": 201, "@carol:test": 201 })),
            (
                json!({ "@bob:test": 9_007_199_254_740_991_i64, "@dave:test": 9_007_199_254_740_990_i64 }),
                json!({
                    "@bob:test": 9_007_199_254_740_990_i64, "@dave:test": 9_007_199_254_740_990_i64,
                    "@alice:test": 9_007_199_254_740_991_i64, "@carol:test": 9_007_199_254_740_991_i64,
                }),
            ),
        ] {
            let old = create(&alice, with("12", users.clone(), json!(["@carol:test"]))).await;
            let new = upgrade(&alice, &old, json!({ "new_version": "11" })).await;
            assert_eq!(power_users(&alice, &new).await, expected, "{users}");
            if users.get("@bob:test").is_some() {
                join(&bob, &new).await;
                kick(&alice, &new, "@bob:test").await;
            }
        }
        // The same for one who upgrades and is no creator.
        let old = create(&alice, with("12", json!({ "@bob:test": 200 }), none.clone())).await;
        join(&bob, &old).await;
        let new = upgrade(&bob, &old, json!({ "new_version": "11" })).await;
        assert_eq!(power_users(&bob, &new).await, json!({ "@bob:test": 200, "@alice:test": 201 }));
    }

    async fn nobody_gains_power_by_upgrading(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        for to in ["10", "11"] {
            let old = create(&alice, json!({
                "preset": "public_chat", "room_version": "11", "name": "Name",
                "power_level_content_override": {
                    "users": { "@alice:test": 120, "@bob:test": 60 },
                    "events": { "m.room.tombstone": 60, "m.room.power_levels": 110, "m.room.name": 110 },
                },
            })).await;
            join(&bob, &old).await;
            ban(&alice, &old, "@mallory:test").await;
            let before = state(&alice, &old, "m.room.power_levels", "").await;
            let new = upgrade(&bob, &old, json!({ "new_version": to })).await;
            assert_eq!(state(&bob, &new, "m.room.power_levels", "").await, before, "{to}");
            assert_eq!(state(&bob, &new, "m.room.name", "").await["name"], "Name", "{to}");
            assert_eq!(membership(&bob, &new, "@mallory:test").await, "ban", "{to}");
            let reply = try_state(&bob, &new, "m.room.name", "", json!({ "name": "x" })).await;
            assert_eq!(code(&reply), (403, "M_FORBIDDEN"), "{to}");
        }
    }

    async fn additional_creators_are_checked_where_there_are_any(server: Server) {
        let alice = server.user("alice").await;
        let room = create_version(&alice, "10").await;
        for bad in [json!("@bob:test"), json!({}), json!(["bob"]), json!([5]), json!([null])] {
            let body = json!({ "new_version": "12", "additional_creators": bad });
            assert_eq!(code(&alice.post(&room_path(&room, "upgrade"), body).await), (400, "M_BAD_JSON"), "{bad}");
        }
        assert_eq!(joined_rooms(&alice).await, std::slice::from_ref(&room));
        let new = upgrade(&alice, &room, json!({ "new_version": "11", "additional_creators": "ignored" })).await;
        assert_eq!(state(&alice, &new, "m.room.create", "").await.get("additional_creators"), None);
        let newest = upgrade(&alice, &new, json!({ "new_version": "12", "additional_creators": null })).await;
        assert_eq!(state(&alice, &newest, "m.room.create", "").await.get("additional_creators"), None);
    }
}
