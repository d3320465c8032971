//! `createRoom`: presets, versions, and every key of the request.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;

fn number(version: &str) -> u32 {
    version.parse().unwrap()
}

on_both_engines! {
    async fn presets_decide_who_may_come_in(server: Server) {
        let alice = server.user("alice").await;
        for (body, join_rule, guests) in [
            (json!({}), "invite", "can_join"),
            (json!({ "visibility": "private" }), "invite", "can_join"),
            (json!({ "visibility": "public" }), "public", "forbidden"),
            (json!({ "preset": "private_chat" }), "invite", "can_join"),
            (json!({ "preset": "private_chat", "visibility": "public" }), "invite", "can_join"),
            (json!({ "preset": "trusted_private_chat" }), "invite", "can_join"),
            (json!({ "preset": "public_chat" }), "public", "forbidden"),
            (json!({ "preset": "public_chat", "visibility": "private" }), "public", "forbidden"),
        ] {
            let room = create(&alice, body.clone()).await;
            assert_eq!(state(&alice, &room, "m.room.join_rules", "").await["join_rule"], join_rule, "{body}");
            let history = state(&alice, &room, "m.room.history_visibility", "").await;
            assert_eq!(history, json!({ "history_visibility": "shared" }), "{body}");
            // No event means `forbidden` too.
            let reply = alice.get(&state_path(&room, "m.room.guest_access", "")).await;
            let seen = if reply.status == 404 { "forbidden" } else { reply.text("guest_access") };
            assert_eq!(seen, guests, "{body}");
            let member = state(&alice, &room, "m.room.member", "@alice:test").await;
            assert_eq!((at(&member, "/membership"), at(&member, "/displayname")), ("join", "alice"), "{body}");
        }
    }

    async fn events_come_in_the_order_of_the_specification(server: Server) {
        let alice = server.user("alice").await;
        server.create("bob", false).await;
        let room = create(&alice, json!({
            "preset": "private_chat", "name": "Name", "topic": "Topic", "room_alias_name": "here", "invite": ["@bob:test"],
            "initial_state": [
                { "type": "com.example.first", "state_key": "k", "content": { "n": 1 } },
                { "type": "com.example.second", "content": { "n": 2 } },
            ],
        })).await;
        let (events, _) = all_messages(&alice, &room, "dir=f&limit=100").await;
        let kinds: Vec<&str> = events.iter().map(|event| at(event, "/type")).collect();
        assert_eq!(kinds[..4], ["m.room.create", "m.room.member", "m.room.power_levels", "m.room.canonical_alias"]);
        let place = |kind: &str| kinds.iter().position(|other| *other == kind).unwrap();
        let mut presets = [place("m.room.join_rules"), place("m.room.history_visibility"), place("m.room.guest_access")];
        presets.sort_unstable();
        assert_eq!(presets, [4, 5, 6]);
        assert_eq!(kinds[7..9], ["com.example.first", "com.example.second"]);
        assert!(place("m.room.name") > 8 && place("m.room.topic") > 8);
        let last = events.last().unwrap();
        assert_eq!((at(last, "/state_key"), at(last, "/content/membership")), ("@bob:test", "invite"));
        for event in &events {
            assert_eq!((at(event, "/sender"), at(event, "/room_id")), ("@alice:test", &*room), "{event}");
            assert!(event["state_key"].is_string(), "{event}");
        }
        let second = of_kind(&events, "com.example.second").unwrap();
        assert_eq!((at(second, "/state_key"), &second["content"]), ("", &json!({ "n": 2 })));
    }

    async fn initial_state_is_checked_like_other_state(server: Server) {
        let alice = server.user("alice").await;
        server.create("bob", false).await;
        let refusal = async |body: Value| {
            let reply = alice.post(&format!("{CS}/createRoom"), body).await;
            (reply.status, reply.text("errcode").to_owned())
        };
        let invalid = (400, "M_INVALID_ROOM_STATE".to_owned());
        for version in ["6", "11", "12"] {
            for state_key in ["", "zz"] {
                let event = json!({ "type": "m.room.create", "state_key": state_key, "content": {} });
                let body = json!({ "room_version": version, "initial_state": [event] });
                assert_eq!(refusal(body).await, invalid, "{version} {state_key}");
            }
        }
        for (target, membership) in [("@bob:test", "invite"), ("@zz:other.org", "invite"), ("@alice:test", "leave")] {
            let content = json!({ "membership": membership });
            let event = json!({ "type": "m.room.member", "state_key": target, "content": content });
            assert_eq!(refusal(json!({ "initial_state": [event] })).await, invalid, "{target}");
        }
        let bad = (400, "M_BAD_JSON".to_owned());
        let event = json!({ "type": "m.room.server_acl", "content": { "deny": 5 } });
        assert_eq!(refusal(json!({ "initial_state": [event] })).await, bad);
        assert_eq!(refusal(json!({ "creation_content": { "m.federate": "no" } })).await, bad);
        assert_eq!(joined_rooms(&alice).await.len(), 0);
        let room = create(&alice, json!({})).await;
        let path = state_path(&room, "m.room.member", "@zz:other.org");
        let reply = alice.put(&path, json!({ "membership": "invite" })).await;
        assert_eq!((reply.status, reply.text("errcode")), (403, "M_FORBIDDEN"));
    }

    async fn names_and_topics_win_over_initial_state_and_that_over_presets(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({
            "preset": "private_chat", "name": "Right", "topic": "Right too",
            "initial_state": [
                { "type": "m.room.name", "state_key": "", "content": { "name": "Wrong" } },
                { "type": "m.room.topic", "content": { "topic": "Wrong" } },
                { "type": "m.room.join_rules", "content": { "join_rule": "public" } },
                { "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } },
                { "type": "m.room.encryption", "content": { "algorithm": "m.megolm.v1.aes-sha2" } },
            ],
        })).await;
        assert_eq!(state(&alice, &room, "m.room.name", "").await, json!({ "name": "Right" }));
        assert_eq!(state(&alice, &room, "m.room.topic", "").await["topic"], "Right too");
        assert_eq!(state(&alice, &room, "m.room.join_rules", "").await["join_rule"], "public");
        assert_eq!(state(&alice, &room, "m.room.history_visibility", "").await["history_visibility"], "joined");
        assert_eq!(state(&alice, &room, "m.room.encryption", "").await["algorithm"], "m.megolm.v1.aes-sha2");
    }

    async fn every_offered_version_makes_a_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let offered = ok(alice.get(&format!("{CS}/capabilities")).await);
        let versions = &offered["capabilities"]["m.room_versions"];
        assert_eq!(versions["available"][at(versions, "/default")], "stable");
        for version in ["6", "7", "8", "9", "10", "11", "12"] {
            assert_eq!(versions["available"][version], "stable", "{version}");
            let room = create_version(&alice, version).await;
            let content = state(&alice, &room, "m.room.create", "").await;
            assert_eq!(content["room_version"], version);
            // The creator is named in the content up to version 10; from 12 on the id is the hash of the first event.
            assert_eq!(content.get("creator").is_some(), number(version) <= 10, "{version}: {content}");
            assert_eq!(room.ends_with(":test"), number(version) <= 11, "{version}: {room}");
            if version == "12" {
                let (events, _) = all_messages(&alice, &room, "dir=f").await;
                assert_eq!(room[1..], at(&events[0], "/event_id")[1..]);
                assert_eq!(room.len(), 44);
            }
            let levels = state(&alice, &room, "m.room.power_levels", "").await;
            assert_eq!(levels["users"].get("@alice:test").is_some(), number(version) <= 11, "{version}: {levels}");
            // It works for more than its creator.
            join(&bob, &room).await;
            let id = say(&bob, &room, "hello").await;
            assert_eq!(id.len(), 44, "{id}");
            assert_eq!(event(&alice, &room, &id).await["content"]["body"], "hello");
        }
        let room = create(&alice, json!({})).await;
        assert_eq!(state(&alice, &room, "m.room.create", "").await["room_version"], versions["default"]);
        for version in [json!("0"), json!("99"), json!("org.example.own"), json!("")] {
            let reply = alice.post(&format!("{CS}/createRoom"), json!({ "room_version": version })).await;
            assert_eq!(code(&reply), (400, "M_UNSUPPORTED_ROOM_VERSION"), "{version}");
        }
        for version in [json!(11), json!(["11"])] {
            let reply = alice.post(&format!("{CS}/createRoom"), json!({ "room_version": version })).await;
            assert_eq!(reply.status, 400, "{version}: {}", reply.body);
        }
    }

    async fn power_levels_at_first(server: Server) {
        let alice = server.user("alice").await;
        for version in ["10", "11", "12"] {
            let room = create_version(&alice, version).await;
            let levels = state(&alice, &room, "m.room.power_levels", "").await;
            let level = |pointer: &str, missing: i64| levels.pointer(pointer).map_or(missing, |value| value.as_i64().unwrap());
            assert_eq!((level("/ban", 50), level("/kick", 50), level("/redact", 50)), (50, 50, 50));
            assert_eq!((level("/state_default", 50), level("/events_default", 0), level("/users_default", 0)), (50, 0, 0));
            let tombstone = level("/events/m.room.tombstone", 50);
            assert!(if version == "12" { tombstone > 100 } else { tombstone >= 50 }, "{version}: {levels}");
        }
        let room = create(&alice, json!({
            "room_version": "11", "preset": "public_chat",
            "power_level_content_override": { "events_default": 10, "users": { "@alice:test": 100, "@bob:test": 40 }, "notifications": { "room": 20 } },
        })).await;
        let levels = state(&alice, &room, "m.room.power_levels", "").await;
        assert_eq!(levels["events_default"], 10);
        assert_eq!(levels["users"], json!({ "@alice:test": 100, "@bob:test": 40 }));
        assert_eq!(levels["notifications"], json!({ "room": 20 }));
        assert_eq!(levels["ban"], 50);
        let bob = server.user("bob").await;
        join(&bob, &room).await;
        say(&bob, &room, "with 40").await;
        let carol = server.user("carol").await;
        join(&carol, &room).await;
        let reply = try_send(&carol, &room, "m.room.message", json!({ "msgtype": "m.text", "body": "with 0" })).await;
        assert_eq!(code(&reply), (403, "M_FORBIDDEN"));
    }

    async fn creators_of_version_12_stand_above_all_levels(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create(&alice, json!({
            "room_version": "12", "preset": "public_chat",
            "creation_content": { "additional_creators": ["@bob:test"] },
        })).await;
        assert_eq!(state(&alice, &room, "m.room.create", "").await["additional_creators"], json!(["@bob:test"]));
        join(&bob, &room).await;
        join(&carol, &room).await;
        set_level(&bob, &room, "@carol:test", 9_007_199_254_740_991).await;
        for creator in ["@alice:test", "@bob:test"] {
            let reply = carol.post(&room_path(&room, "kick"), json!({ "user_id": creator })).await;
            assert_eq!(code(&reply), (403, "M_FORBIDDEN"), "{creator}");
            let mut levels = state(&carol, &room, "m.room.power_levels", "").await;
            levels["users"][creator] = json!(5);
            let reply = try_state(&alice, &room, "m.room.power_levels", "", levels).await;
            assert!(matches!(reply.status, 400 | 403), "{creator}: {}", reply.body);
        }
        kick(&bob, &room, "@carol:test").await;
        for bad in [json!({ "additional_creators": ["bob"] }), json!({ "additional_creators": "@bob:test" }), json!({ "additional_creators": [1] })] {
            let body = json!({ "room_version": "12", "creation_content": bad });
            let reply = alice.post(&format!("{CS}/createRoom"), body).await;
            assert!(matches!(reply.status, 400 | 403), "{bad}: {}", reply.body);
        }
        let mine = json!({ "room_version": "12", "power_level_content_override": { "users": { "@alice:test": 100 } } });
        assert_eq!(alice.post(&format!("{CS}/createRoom"), mine).await.status, 400);
    }

    async fn what_the_creation_says_is_kept(server: Server) {
        let alice = server.user("alice").await;
        let default = default_version(&alice).await;
        for version in ["10", &*default] {
            let content = state(&alice, &create(&alice, json!({
                "room_version": version,
                "creation_content": {
                    "m.federate": false, "type": "m.space", "com.example.more": [1, { "a": null }],
                    "creator": "@mallory:test", "room_version": "1",
                },
            })).await, "m.room.create", "").await;
            assert_eq!((&content["m.federate"], &content["type"]), (&json!(false), &json!("m.space")));
            assert_eq!(content["com.example.more"], json!([1, { "a": null }]));
            assert_eq!(content["room_version"], *version);
            if version == "10" {
                assert_eq!(content["creator"], "@alice:test");
            }
        }
    }

    async fn invited_at_creation(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        server.create("carol", false).await;
        let room = create(&alice, json!({ "invite": ["@bob:test", "@carol:test"], "is_direct": true })).await;
        for guest in ["@bob:test", "@carol:test"] {
            let member = state(&alice, &room, "m.room.member", guest).await;
            assert_eq!((at(&member, "/membership"), &member["is_direct"]), ("invite", &json!(true)), "{guest}");
        }
        let first = sync(&bob).await;
        let shown = list(&first["rooms"]["invite"][&room], "/invite_state/events");
        assert_eq!(of_state(shown, "m.room.member", "@bob:test").unwrap()["content"]["is_direct"], true);
        join(&bob, &room).await;
        let room = create(&alice, json!({ "invite": ["@bob:test"] })).await;
        let member = state(&alice, &room, "m.room.member", "@bob:test").await;
        assert_ne!(member["is_direct"], true);
        for bad in [json!(["bob"]), json!("@bob:test"), json!([1])] {
            let reply = alice.post(&format!("{CS}/createRoom"), json!({ "invite": bad })).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
        // A refused request leaves nothing behind.
        assert_eq!(joined_rooms(&alice).await.len(), 2);
    }

    async fn trusted_guests_are_as_powerful_as_the_creator(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        for version in ["11", "12"] {
            let body = json!({ "room_version": version, "preset": "trusted_private_chat", "invite": ["@bob:test"] });
            let room = create(&alice, body).await;
            if version == "11" {
                let levels = state(&alice, &room, "m.room.power_levels", "").await;
                assert_eq!(levels["users"], json!({ "@alice:test": 100, "@bob:test": 100 }));
            } else {
                let content = state(&alice, &room, "m.room.create", "").await;
                assert_eq!(content["additional_creators"], json!(["@bob:test"]));
            }
            join(&bob, &room).await;
            change_levels(&bob, &room, json!({ "ban": 99 })).await;
        }
        let body = json!({
            "room_version": "12", "preset": "trusted_private_chat", "invite": ["@bob:test"],
            "creation_content": { "additional_creators": ["@bob:test", "@carol:test"] },
        });
        let content = state(&alice, &create(&alice, body).await, "m.room.create", "").await;
        let mut creators: Vec<&str> = list(&content, "/additional_creators").iter().filter_map(Value::as_str).collect();
        creators.sort_unstable();
        assert_eq!(creators, ["@bob:test", "@carol:test"]);
    }

    async fn an_alias_comes_with_the_room(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({ "room_alias_name": "Pub-1" })).await;
        assert_eq!(state(&alice, &room, "m.room.canonical_alias", "").await["alias"], "#Pub-1:test");
        let found = alice.get(&format!("{CS}/directory/room/{}", enc("#Pub-1:test"))).await;
        assert_eq!(found, (200, json!({ "room_id": room, "servers": ["test"] })));
        let path = format!("{CS}/createRoom");
        let taken = alice.post(&path, json!({ "room_alias_name": "Pub-1" })).await;
        assert_eq!(code(&taken), (400, "M_ROOM_IN_USE"));
        for bad in [json!("with:colon"), json!("with space"), json!("x".repeat(300)), json!(1), json!("nul\u{0}")] {
            let reply = alice.post(&path, json!({ "room_alias_name": bad })).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
        assert_eq!(joined_rooms(&alice).await, [room]);
    }

    async fn what_makes_no_room(server: Server) {
        let alice = server.user("alice").await;
        let path = format!("{CS}/createRoom");
        for bad in [
            json!({ "name": 1 }), json!({ "topic": [] }), json!({ "preset": "bogus" }), json!({ "preset": 1 }),
            json!({ "initial_state": {} }), json!({ "initial_state": [{ "content": {} }] }), json!({ "initial_state": [{ "type": "a.b" }] }),
            json!({ "initial_state": [1] }), json!({ "initial_state": [{ "type": "a.b", "content": 1 }] }),
            json!({ "initial_state": [{ "type": "a.b", "content": { "n": 1.5 } }] }),
            json!({ "creation_content": [] }), json!({ "power_level_content_override": 1 }),
            json!({ "power_level_content_override": { "users": { "@alice:test": 100, "bob": 1 } }, "room_version": "11" }),
            json!({ "power_level_content_override": { "ban": "50" }, "room_version": "11" }),
        ] {
            let reply = alice.post(&path, bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
            assert!(reply.text("errcode").starts_with("M_"), "{bad}: {}", reply.body);
        }
        // One who may not do what the request asks for gets no room either.
        let weak = json!({ "room_version": "11", "name": "x", "power_level_content_override": { "users": { "@alice:test": 0 } } });
        let reply = alice.post(&path, weak).await;
        assert!(matches!(reply.status, 400 | 403), "{}", reply.body);
        assert_eq!(joined_rooms(&alice).await, Vec::<String>::new());
        assert_eq!(code(&server.stranger().post(&path, json!({})).await), (401, "M_MISSING_TOKEN"));
    }
}
