//! `rooms/{roomId}/state`.

use http::Method;
use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;

on_both_engines! {
    async fn state_is_set_and_read(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let id = set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "One" })).await;
        assert_eq!(state(&alice, &room, "m.room.topic", "").await, json!({ "topic": "One" }));
        let whole = ok(alice.get(&format!("{}?format=event", state_path(&room, "m.room.topic", ""))).await);
        assert_eq!(at(&whole, "/event_id"), id);
        assert_eq!((at(&whole, "/type"), at(&whole, "/state_key"), at(&whole, "/sender")), ("m.room.topic", "", "@alice:test"));
        assert_eq!((at(&whole, "/room_id"), &whole["content"]), (&*room, &json!({ "topic": "One" })));
        assert!(whole["origin_server_ts"].is_i64());
        let content = ok(alice.get(&format!("{}?format=content", state_path(&room, "m.room.topic", ""))).await);
        assert_eq!(content, json!({ "topic": "One" }));
        // The last one holds, and knows the one before.
        let second = set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "Two" })).await;
        assert_eq!(state(&alice, &room, "m.room.topic", "").await, json!({ "topic": "Two" }));
        let last = messages(&alice, &room, "dir=b&limit=1").await;
        assert_eq!(at(&last, "/chunk/0/event_id"), second);
        assert_eq!(last["chunk"][0]["unsigned"]["prev_content"], json!({ "topic": "One" }));
        let all = ok(alice.get(&room_path(&room, "state")).await);
        let all = all.as_array().unwrap();
        assert_eq!(all.iter().filter(|event| event["type"] == "m.room.topic").count(), 1);
        assert_eq!(of_kind(all, "m.room.topic").unwrap()["content"], json!({ "topic": "Two" }));
        for kind in ["m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.history_visibility", "m.room.member"] {
            assert!(of_kind(all, kind).is_some(), "{kind}");
        }
    }

    async fn state_keys(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        // No key and a blank key are the same.
        for path in ["state/com.x.y", "state/com.x.y/"] {
            ok(alice.put(&room_path(&room, path), json!({ "path": path })).await);
            for read in ["state/com.x.y", "state/com.x.y/"] {
                assert_eq!(alice.get(&room_path(&room, read)).await, (200, json!({ "path": path })), "{read}");
            }
        }
        for key in ["k", "K", "with space", "ä/ö?#%", "a%2Fb", "#alias:test", "_@alice:test_DEVICE"] {
            set_state(&alice, &room, "com.x.y", key, json!({ "key": key })).await;
            assert_eq!(state(&alice, &room, "com.x.y", key).await, json!({ "key": key }));
        }
        assert_eq!(state(&alice, &room, "com.x.y", "").await, json!({ "path": "state/com.x.y/" }));
        // An empty content is a content.
        set_state(&alice, &room, "com.x.y", "k", json!({})).await;
        assert_eq!(alice.get(&state_path(&room, "com.x.y", "k")).await, (200, json!({})));
        for (kind, key) in [("com.x.y", "nothing"), ("com.x.nothing", ""), ("m.room.topic", ""), ("m.room.member", "@bob:test")] {
            let reply = alice.get(&state_path(&room, kind, key)).await;
            assert_eq!(code(&reply), (404, "M_NOT_FOUND"), "{kind} {key}");
        }
        // A key that is a user id belongs to that user.
        assert_eq!(code(&try_state(&alice, &room, "com.x.y", "@bob:test", json!({})).await), (403, "M_FORBIDDEN"));
        set_state(&alice, &room, "com.x.y", "@alice:test", json!({})).await;
    }

    async fn who_may_set_state(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let name = json!({ "name": "n" });
        assert_eq!(code(&try_state(&bob, &room, "m.room.name", "", name.clone()).await), (403, "M_FORBIDDEN"));
        assert_eq!(code(&try_state(&carol, &room, "m.room.name", "", name.clone()).await), (403, "M_FORBIDDEN"));
        set_level(&alice, &room, "@bob:test", 50).await;
        set_state(&bob, &room, "m.room.name", "", name.clone()).await;
        // Not beyond one's own level, and not over one's equals.
        let levels = state(&bob, &room, "m.room.power_levels", "").await;
        for (pointer, value) in [("/users/@bob:test", 51), ("/users/@carol:test", 51), ("/ban", 60), ("/events/m.room.name", 60)] {
            let mut changed = levels.clone();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap()[key] = json!(value);
            let reply = try_state(&bob, &room, "m.room.power_levels", "", changed).await;
            assert_eq!(code(&reply), (403, "M_FORBIDDEN"), "{pointer}");
        }
        // The first event stands.
        let reply = try_state(&alice, &room, "m.room.create", "", json!({ "room_version": "11" })).await;
        assert!(matches!(reply.status, 400 | 403), "{}", reply.body);
        change_levels(&alice, &room, json!({ "state_default": 0 })).await;
        let carol_reply = try_state(&carol, &room, "com.x.y", "", json!({})).await;
        assert_eq!(code(&carol_reply), (403, "M_FORBIDDEN"));
        let dave = server.user("dave").await;
        join(&dave, &room).await;
        set_state(&dave, &room, "com.x.y", "", json!({})).await;
    }

    async fn contents_of_known_state_are_looked_at(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({ "room_version": "11" })).await;
        for levels in [
            json!({ "users": { "@alice:test": "100" } }), json!({ "users": { "alice": 100, "@alice:test": 100 } }), json!({ "users": [] }),
            json!({ "users": { "@alice:test": 100 }, "ban": "50" }), json!({ "users": { "@alice:test": 100 }, "events": { "a.b": null } }),
            json!({ "users": { "@alice:test": 100 }, "kick": 1.5 }), json!({ "users": { "@alice:test": 100 }, "notifications": { "room": "x" } }),
        ] {
            let reply = try_state(&alice, &room, "m.room.power_levels", "", levels.clone()).await;
            assert!(matches!(reply.status, 400 | 403), "{levels}: {}", reply.body);
        }
        for member in [json!({}), json!({ "membership": "bogus" }), json!({ "membership": 1 })] {
            let reply = try_state(&alice, &room, "m.room.member", "@alice:test", member.clone()).await;
            assert!(matches!(reply.status, 400 | 403), "{member}: {}", reply.body);
        }
        assert_eq!(membership(&alice, &room, "@alice:test").await, "join");
        assert_eq!(state(&alice, &room, "m.room.power_levels", "").await["users"], json!({ "@alice:test": 100 }));
    }

    async fn lifetimes_are_positive_integers(server: Server) {
        const RETENTION: &str = "m.room.retention";
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let bad = (400, "M_BAD_JSON");
        for content in [
            json!({ "max_lifetime": 0 }), json!({ "max_lifetime": -1 }), json!({ "max_lifetime": "1" }), json!({ "max_lifetime": 1.5 }),
            json!({ "max_lifetime": null }), json!({ "max_lifetime": 1_i64 << 53 }), json!({ "max_lifetime": u64::MAX }),
            json!({ "min_lifetime": 0 }), json!({ "min_lifetime": "1", "max_lifetime": 2 }),
            json!({ "min_lifetime": 2, "max_lifetime": 1 }),
        ] {
            assert_eq!(code(&try_state(&alice, &room, RETENTION, "", content.clone()).await), bad, "{content}");
            let event = json!({ "type": RETENTION, "content": content });
            let made = alice.post(&format!("{CS}/createRoom"), json!({ "initial_state": [event] })).await;
            assert_eq!(code(&made), bad, "{content}");
        }
        assert_eq!(alice.get(&state_path(&room, RETENTION, "")).await.status, 404);
        assert_eq!(ok(alice.get(&format!("{CS}/joined_rooms")).await)["joined_rooms"], json!([room]));
        for content in [
            json!({ "max_lifetime": 1 }), json!({ "max_lifetime": (1_i64 << 53) - 1 }), json!({ "min_lifetime": 1 }),
            json!({ "min_lifetime": 2, "max_lifetime": 2, "org.example.more": true }), json!({}),
        ] {
            set_state(&alice, &room, RETENTION, "", content.clone()).await;
            assert_eq!(state(&alice, &room, RETENTION, "").await, content);
        }
        // Under another key it means nothing, and neither does a message.
        set_state(&alice, &room, RETENTION, "k", json!({ "max_lifetime": "long" })).await;
        send(&alice, &room, RETENTION, json!({ "max_lifetime": "long" })).await;
    }

    async fn power_levels_are_integers(server: Server) {
        let alice = server.user("alice").await;
        for version in ["9", "10", "11"] {
            let room = create_version(&alice, version).await;
            let levels = state(&alice, &room, "m.room.power_levels", "").await;
            for (key, value, refused) in [
                ("ban", json!("50"), "M_BAD_JSON"), ("ban", json!(5.5), "M_BAD_JSON"), ("invite", json!(null), "M_BAD_JSON"),
                ("kick", json!(true), "M_BAD_JSON"), ("users_default", json!(" 1"), "M_BAD_JSON"), ("redact", json!([]), "M_BAD_JSON"),
                ("state_default", json!(9_007_199_254_740_992_i64), "M_BAD_JSON"), ("events_default", json!({}), "M_BAD_JSON"),
                ("users", json!({ "@alice:test": "100" }), "M_BAD_JSON"), ("users", json!([]), "M_BAD_JSON"),
                ("users", json!({ "@alice:test": 100, "@bob:test": null }), "M_BAD_JSON"),
                ("users", json!({ "@alice:test": 100, "bob": 1 }), "M_UNKNOWN"),
                ("events", json!({ "m.room.name": "50" }), "M_BAD_JSON"), ("events", json!("x"), "M_BAD_JSON"),
                ("notifications", json!({ "room": "50" }), "M_BAD_JSON"), ("notifications", json!([]), "M_BAD_JSON"),
            ] {
                let mut changed = levels.clone();
                changed[key] = value.clone();
                let reply = try_state(&alice, &room, "m.room.power_levels", "", changed.clone()).await;
                assert_eq!(code(&reply), (400, refused), "{version} {key} {value}");
                for body in [
                    json!({ "room_version": version, "power_level_content_override": { key: value } }),
                    json!({ "room_version": version, "initial_state": [{ "type": "m.room.power_levels", "content": changed }] }),
                ] {
                    let reply = alice.post(&format!("{CS}/createRoom"), body.clone()).await;
                    assert_eq!(code(&reply), (400, refused), "{body}");
                }
            }
            assert_eq!(state(&alice, &room, "m.room.power_levels", "").await, levels);
            // Keys that are not levels can have any value.
            let mut changed = levels.clone();
            changed["org.example.own"] = json!("text");
            set_state(&alice, &room, "m.room.power_levels", "", changed).await;
        }
        assert_eq!(joined_rooms(&alice).await.len(), 3);
    }

    async fn who_may_read_state(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "before" })).await;
        for path in [room_path(&room, "state"), state_path(&room, "m.room.topic", "")] {
            assert_eq!(code(&carol.get(&path).await), (403, "M_FORBIDDEN"), "{path}");
            assert_eq!(code(&server.stranger().get(&path).await), (401, "M_MISSING_TOKEN"), "{path}");
        }
        join(&bob, &room).await;
        leave(&bob, &room).await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "after" })).await;
        // One who left sees what it was when they left.
        assert_eq!(state(&bob, &room, "m.room.topic", "").await, json!({ "topic": "before" }));
        let all = ok(bob.get(&room_path(&room, "state")).await);
        let all = all.as_array().unwrap();
        assert_eq!(of_kind(all, "m.room.topic").unwrap()["content"], json!({ "topic": "before" }));
        assert_eq!(of_state(all, "m.room.member", "@bob:test").unwrap()["content"]["membership"], "leave");
        for path in [room_path("!unknown:test", "state"), state_path("!unknown:test", "m.room.topic", "")] {
            assert_eq!(code(&alice.get(&path).await), (403, "M_FORBIDDEN"), "{path}");
        }
    }

    async fn one_changes_ones_own_member_event(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        // Joining, renaming and leaving through the state path.
        set_state(&bob, &room, "m.room.member", "@bob:test", json!({ "membership": "join" })).await;
        assert_eq!(membership(&alice, &room, "@bob:test").await, "join");
        let named = json!({ "membership": "join", "displayname": "Bobby", "com.example": 1 });
        set_state(&bob, &room, "m.room.member", "@bob:test", named).await;
        let seen = state(&alice, &room, "m.room.member", "@bob:test").await;
        assert_eq!((at(&seen, "/displayname"), &seen["com.example"]), ("Bobby", &json!(1)));
        let reply = try_state(&alice, &room, "m.room.member", "@carol:test", json!({ "membership": "join" })).await;
        assert_eq!(code(&reply), (403, "M_FORBIDDEN"));
        set_state(&bob, &room, "m.room.member", "@bob:test", json!({ "membership": "leave" })).await;
        assert_eq!(membership(&alice, &room, "@bob:test").await, "leave");
        let path = state_path(&room, "m.room.member", "@bob:test");
        let broken = bob.send(Method::PUT, &path, &[], "{").await;
        assert_eq!(code(&broken), (400, "M_NOT_JSON"));
        assert_eq!(code(&bob.send(Method::PUT, &path, &[], "[]").await), (400, "M_BAD_JSON"));
    }

    async fn a_profile_reaches_the_rooms(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (one, two) = (create_public(&alice).await, create(&bob, json!({})).await);
        join(&bob, &one).await;
        let since = now(&alice).await;
        ok(bob.put(&format!("{CS}/profile/@bob:test/displayname"), json!({ "displayname": "Robert" })).await);
        ok(bob.put(&format!("{CS}/profile/@bob:test/avatar_url"), json!({ "avatar_url": "mxc://test/a" })).await);
        let news = sync_until(&alice, &since, |sync| {
            of_kind(timeline(sync, &one), "m.room.member").is_some_and(|member| member["content"]["displayname"] == "Robert")
        }).await;
        let member = of_kind(timeline(&news, &one), "m.room.member").unwrap();
        assert_eq!(member["unsigned"]["prev_content"]["displayname"], "bob");
        for room in [&one, &two] {
            // The change may come after the response.
            let mut seen = json!({});
            for _ in 0..50 {
                seen = state(&bob, room, "m.room.member", "@bob:test").await;
                if seen["avatar_url"] == "mxc://test/a" {
                    break;
                }
            }
            assert_eq!(seen, json!({ "membership": "join", "displayname": "Robert", "avatar_url": "mxc://test/a" }));
        }
    }
}
