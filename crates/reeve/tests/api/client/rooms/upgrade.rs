//! `rooms/{roomId}/upgrade`.

use std::sync::Arc;

use reeve_rooms::error::Error;
use reeve_rooms::event::{self, Draft};
use reeve_store::rooms;
use reeve_testkit::{Client, START, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::{global_data, room_data, set_data};

const RULES: &str = "/_matrix/client/v3/pushrules/global";

/// Upgrades a room and gives the id of the new one.
async fn upgrade(client: &Client, room: &str, body: Value) -> String {
    at(&ok(client.post(&room_path(room, "upgrade"), body).await), "/replacement_room").to_owned()
}

async fn power_users(client: &Client, room: &str) -> Value {
    state(client, room, "m.room.power_levels", "").await["users"].clone()
}

/// Settings of every kind for a room, which is a direct chat.
async fn personalise(client: &Client, room: &str, other: &str) {
    let on_room = json!({ "kind": "event_match", "key": "room_id", "pattern": room });
    let is_room = json!({ "kind": "event_property_is", "key": "room_id", "value": room });
    let text = json!({ "kind": "event_match", "key": "content.body", "pattern": "x" });
    for (rule, body) in [
        (format!("room/{}", enc(room)), json!({ "actions": ["notify"] })),
        ("override/above".to_owned(), json!({ "actions": [], "conditions": [] })),
        (format!("override/{}", enc(room)), json!({ "actions": [], "conditions": [on_room] })),
        ("override/words".to_owned(), json!({ "actions": ["notify"], "conditions": [text, on_room] })),
        ("underride/calls".to_owned(), json!({ "actions": ["notify"], "conditions": [is_room] })),
        ("underride/other".to_owned(), json!({ "actions": ["notify"], "conditions": [text] })),
    ] {
        assert_eq!(client.put(&format!("{RULES}/{rule}"), body).await, (200, json!({})));
    }
    ok(client.put(&format!("{RULES}/underride/calls/enabled"), json!({ "enabled": false })).await);
    let tag = format!("{CS}/user/{}/rooms/{}/tags/m.favourite", client.user_id, enc(room));
    ok(client.put(&tag, json!({ "order": 0.5 })).await);
    set_data(client, "m.direct", json!({ other: [room, "!x:y"], "@z:test": ["!z:test"] })).await;
}

/// Which settings there are for a room: rules by kind, tags and the people with whom it is a direct chat.
async fn settings(client: &Client, room: &str) -> Value {
    let all = ok(client.get(&format!("{RULES}/")).await);
    let mut rules = Vec::new();
    for kind in ["override", "room", "underride"] {
        for rule in list(&all, &format!("/{kind}")) {
            let conditions = rule["conditions"].to_string();
            if rule["rule_id"] == room || conditions.contains(&format!("{room:?}")) {
                rules.push(json!([kind, rule["actions"], rule["enabled"], conditions.replace(room, "ROOM")]));
            }
        }
    }
    let tags = ok(client.get(&format!("{CS}/user/{}/rooms/{}/tags", client.user_id, enc(room))).await);
    let direct = client.get(&format!("{CS}/user/{}/account_data/m.direct", client.user_id)).await.body;
    let people: Vec<&String> = direct
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, rooms)| rooms.as_array().is_some_and(|rooms| rooms.contains(&json!(room))))
        .map(|(user_id, _)| user_id)
        .collect();
    json!({ "rules": rules, "tags": tags["tags"], "direct": people })
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

    async fn lifetimes_move_with_the_room(server: Server) {
        const RETENTION: &str = "m.room.retention";
        let alice = server.user("alice").await;
        let room = create_version(&alice, "11").await;
        let lifetime = json!({ "min_lifetime": 1000, "max_lifetime": 2000 });
        set_state(&alice, &room, RETENTION, "", lifetime.clone()).await;
        let new = upgrade(&alice, &room, json!({ "new_version": "12" })).await;
        assert_eq!(state(&alice, &new, RETENTION, "").await, lifetime);
        // A content from before it was checked is left behind.
        let room = create_version(&alice, "11").await;
        let (home, room_id) = (Arc::clone(&server.app().home), room.clone());
        server.app().db.write(move |tx| -> Result<(), Error> {
            let content = json!({ "max_lifetime": "long" }).as_object().unwrap().clone();
            let mut room = rooms::find(tx, &room_id)?.unwrap();
            event::append(tx, &home, &mut room, Draft::state(RETENTION, "", "@alice:test", content), START)?;
            Ok(())
        }).await.unwrap();
        assert_eq!(state(&alice, &room, RETENTION, "").await["max_lifetime"], "long");
        let new = upgrade(&alice, &room, json!({ "new_version": "12" })).await;
        assert_eq!(alice.get(&state_path(&new, RETENTION, "")).await.status, 404);
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

    async fn settings_follow_each_member(server: Server) {
        for (from, to) in [("10", "11"), ("11", "12")] {
            let (alice, bob) = (server.user(&format!("alice{to}")).await, server.user(&format!("bob{to}")).await);
            let old = create_version(&alice, from).await;
            join(&bob, &old).await;
            personalise(&alice, &old, &bob.user_id).await;
            personalise(&bob, &old, &alice.user_id).await;
            let before = settings(&alice, &old).await;
            assert_eq!(before["rules"].as_array().unwrap().len(), 4, "{before}");
            let of_bob = settings(&bob, &old).await;
            let new = upgrade(&alice, &old, json!({ "new_version": to })).await;
            assert_eq!(settings(&alice, &new).await, before, "{to}");
            assert_eq!(settings(&alice, &old).await, before, "{to}: the old room keeps its own");
            // The copies are as important as what they were made of.
            let rules = ok(alice.get(&format!("{RULES}/")).await);
            let ids: Vec<&str> = list(&rules, "/override").iter().map(|rule| at(rule, "/rule_id")).collect();
            assert_eq!(ids[1..6], [&*format!("words.{new}"), "words", &*new, &*old, "above"], "{to}");
            // Others are there when they join.
            assert_eq!(settings(&bob, &new).await, json!({ "rules": [], "tags": {}, "direct": [] }), "{to}");
            let since = now(&bob).await;
            join(&bob, &new).await;
            assert_eq!(settings(&bob, &new).await, of_bob, "{to}");
            let news = sync_since(&bob, &since).await;
            assert_eq!(room_data(&news, &new, "m.tag")["tags"], json!({ "m.favourite": { "order": 0.5 } }), "{to}");
            assert!(global_data(&news, "m.direct").to_string().contains(&new) && global_data(&news, "m.push_rules").is_object());
            // Settings that they remove do not come back.
            for rule in [format!("override/{}", enc(&new)), format!("room/{}", enc(&new))] {
                ok(bob.delete(&format!("{RULES}/{rule}")).await);
            }
            leave(&bob, &new).await;
            set_data(&bob, "m.direct", json!({})).await;
            join(&bob, &new).await;
            let left = settings(&bob, &new).await;
            assert_eq!((left["rules"].as_array().unwrap().len(), &left["direct"]), (2, &json!([])), "{to}");
        }
    }

    async fn settings_follow_into_a_room_made_by_hand(server: Server) {
        let (alice, bob, mallory) = (server.user("alice").await, server.user("bob").await, server.user("mallory").await);
        let (old, none) = (create_public(&alice).await, json!({ "rules": [], "tags": {}, "direct": [] }));
        join(&bob, &old).await;
        personalise(&bob, &old, "@alice:test").await;
        let before = settings(&bob, &old).await;
        let made = |version: &str, room: &str| json!({
            "preset": "public_chat", "room_version": version, "creation_content": { "predecessor": { "room_id": room, "event_id": "$x" } },
        });
        for version in ["10", "12"] {
            // A room cannot claim to be the successor of one that its creator could not replace.
            let false_one = create(&mallory, made(version, &old)).await;
            join(&bob, &false_one).await;
            assert_eq!(settings(&bob, &false_one).await, none, "{version}");
            let new = create(&alice, made(version, &old)).await;
            join(&bob, &new).await;
            assert_eq!(settings(&bob, &new).await, before, "{version}");
        }
        // The old room itself names its successor.
        let named = create(&mallory, made("11", &old)).await;
        set_state(&alice, &old, "m.room.tombstone", "", json!({ "body": "", "replacement_room": named })).await;
        invite(&mallory, &named, "@bob:test").await;
        join(&bob, &named).await;
        assert_eq!(settings(&bob, &named).await, before);
        // A member who missed an upgrade brings what they set in the room before.
        let next = create(&mallory, made("11", &named)).await;
        let carol = server.user("carol").await;
        join(&carol, &old).await;
        personalise(&carol, &old, "@bob:test").await;
        let before = settings(&carol, &old).await;
        join(&carol, &next).await;
        assert_eq!(settings(&carol, &next).await, before);
        // Newcomers, and rooms before which there was none, are left alone.
        let unknown = create(&alice, made("11", "!unknown:test")).await;
        for room in [&named, &unknown] {
            let dave = server.user(if room == &named { "dave" } else { "erin" }).await;
            join(&dave, room).await;
            assert_eq!(ok(dave.get(&format!("{RULES}/")).await)["room"], json!([]));
        }
    }

    async fn own_settings_for_the_new_room_stay(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let old = create_public(&alice).await;
        join(&bob, &old).await;
        personalise(&bob, &old, "@alice:test").await;
        let new = upgrade(&alice, &old, json!({ "new_version": "11" })).await;
        let rule = format!("{RULES}/room/{}", enc(&new));
        ok(bob.put(&rule, json!({ "actions": [{ "set_tweak": "highlight" }] })).await);
        let tags = format!("{CS}/user/@bob:test/rooms/{}/tags", enc(&new));
        ok(bob.put(&format!("{tags}/u.mine"), json!({})).await);
        join(&bob, &new).await;
        assert_eq!(ok(bob.get(&rule).await)["actions"], json!([{ "set_tweak": "highlight" }]));
        assert_eq!(bob.get(&tags).await, (200, json!({ "tags": { "u.mine": {} } })));
        // One with as many rules as there can be joins all the same.
        let carol = server.user("carol").await;
        let num = server.app().db.read(|tx| reeve_store::users::num(tx, "@carol:test")).await.unwrap().unwrap();
        join(&carol, &old).await;
        personalise(&carol, &old, "@alice:test").await;
        let home = std::sync::Arc::clone(&server.app().home);
        let filled = server.app().db.write(move |tx| -> Result<(), reeve_rooms::Error> {
            let mut rules = reeve_rooms::push::rules(tx, num, "@carol:test")?;
            let before = rules.iter().count();
            for n in rules.iter().count()..1000 {
                let rule = json!({ "rule_id": format!("r{n}"), "pattern": "x", "actions": [] });
                let rule = ruma::push::NewPushRule::Content(serde_json::from_value(rule).unwrap());
                reeve_rooms::push::put_rule(&mut rules, rule, None)?;
            }
            reeve_rooms::push::set_rules(tx, &home, num, rules, before)
        });
        filled.await.unwrap();
        join(&carol, &new).await;
        let of_new = settings(&carol, &new).await;
        assert_eq!((&of_new["rules"], &of_new["direct"]), (&json!([]), &json!(["@alice:test"])));
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
        // Also where everybody has much.
        let mut body = with("12", json!({}), none.clone());
        body["power_level_content_override"]["users_default"] = json!(170);
        let old = create(&alice, body).await;
        let new = upgrade(&alice, &old, json!({ "new_version": "11" })).await;
        assert_eq!(power_users(&alice, &new).await, json!({ "@alice:test": 171 }));
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
