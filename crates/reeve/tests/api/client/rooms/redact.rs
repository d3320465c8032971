//! `rooms/{roomId}/redact`: the remaining content of an event, by room version.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;

on_both_engines! {
    async fn a_message_is_emptied(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        for version in ["10", "11", "12"] {
            let room = create_version(&alice, version).await;
            join(&bob, &room).await;
            let id = say(&bob, &room, "secret").await;
            let before = event(&alice, &room, &id).await;
            let path = room_path(&room, &format!("redact/{}/{}", enc(&id), txn()));
            let redaction = ok(bob.put(&path, json!({ "reason": "regret" })).await);
            let redaction = at(&redaction, "/event_id");
            let after = event(&alice, &room, &id).await;
            assert_eq!(after["content"], json!({}), "{version}");
            for key in ["event_id", "type", "sender", "room_id", "origin_server_ts"] {
                assert_eq!(after[key], before[key], "{version} {key}");
            }
            let because = &after["unsigned"]["redacted_because"];
            assert_eq!((at(because, "/event_id"), at(because, "/sender")), (redaction, "@bob:test"), "{version}");
            assert_eq!((at(because, "/type"), at(because, "/content/reason")), ("m.room.redaction", "regret"), "{version}");
            // Clients of every age find what was redacted.
            let itself = event(&alice, &room, redaction).await;
            assert_eq!((at(&itself, "/redacts"), at(&itself, "/content/redacts")), (&*id, &*id), "{version}: {itself}");
            assert_eq!(at(because, "/redacts"), id, "{version}");
            let (events, _) = all_messages(&alice, &room, "dir=b").await;
            let seen = events.iter().find(|event| event["event_id"] == *id).unwrap();
            assert_eq!((&seen["content"], at(seen, "/unsigned/redacted_because/event_id")), (&json!({}), redaction));
        }
    }

    async fn who_may_redact(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (by_alice, by_bob) = (say(&alice, &room, "a").await, say(&bob, &room, "b").await);
        let try_redact = async |who: &reeve_testkit::Client, room: &str, id: &str| {
            who.put(&room_path(room, &format!("redact/{}/{}", enc(id), txn())), json!({})).await
        };
        assert_eq!(code(&try_redact(&bob, &room, &by_alice).await), (403, "M_FORBIDDEN"));
        assert_eq!(code(&try_redact(&carol, &room, &by_bob).await), (403, "M_FORBIDDEN"));
        assert_eq!(event(&bob, &room, &by_alice).await["content"]["body"], "a");
        redact(&bob, &room, &by_bob).await;
        redact(&alice, &room, &by_bob).await;
        let by_bob = say(&bob, &room, "b").await;
        redact(&alice, &room, &by_bob).await;
        set_level(&alice, &room, "@bob:test", 50).await;
        redact(&bob, &room, &by_alice).await;
        // An event of another room is not within reach.
        let other = create(&alice, json!({})).await;
        let there = say(&alice, &other, "there").await;
        let reply = try_redact(&bob, &room, &there).await;
        assert!(matches!(reply.status, 200 | 400 | 403 | 404), "{}", reply.body);
        assert_eq!(event(&alice, &other, &there).await["content"]["body"], "there");
        // Where redactions need a level, one's own need it too.
        change_levels(&alice, &room, json!({ "events": { "m.room.redaction": 60 } })).await;
        let by_bob = say(&bob, &room, "b").await;
        assert_eq!(code(&try_redact(&bob, &room, &by_bob).await), (403, "M_FORBIDDEN"));
    }

    async fn a_redaction_can_be_sent_as_an_event(server: Server) {
        let alice = server.user("alice").await;
        let room = create_version(&alice, "11").await;
        let id = say(&alice, &room, "secret").await;
        send(&alice, &room, "m.room.redaction", json!({ "redacts": id, "reason": "r" })).await;
        let after = event(&alice, &room, &id).await;
        assert_eq!((&after["content"], at(&after, "/unsigned/redacted_because/content/reason")), (&json!({}), "r"));
    }

    async fn keys_that_rooms_need_are_kept(server: Server) {
        let alice = server.user("alice").await;
        let levels = json!({
            "ban": 50, "events": { "a.b": 1 }, "events_default": 0, "invite": 1, "kick": 50, "redact": 50, "state_default": 50,
            "users": { "@alice:test": 100 }, "users_default": 0, "notifications": { "room": 50 }, "com.x": 1,
        });
        let without = |value: &Value, keys: &[&str]| {
            let mut value = value.clone();
            for key in keys {
                value.as_object_mut().unwrap().remove(*key);
            }
            value
        };
        let restricted = json!({ "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": "!x:test" }], "com.x": 1 });
        let member = json!({ "membership": "join", "displayname": "A", "com.x": 1 });
        for version in ["7", "8", "9", "10", "11"] {
            let room = create_version(&alice, version).await;
            let number: u32 = version.parse().unwrap();
            let rule_keys: &[&str] = if number < 8 { &["allow", "com.x"] } else { &["com.x"] };
            let level_keys: &[&str] = if number < 11 { &["notifications", "com.x", "invite"] } else { &["notifications", "com.x"] };
            let history = json!({ "history_visibility": "shared", "com.x": 1 });
            for (kind, key, content, kept) in [
                ("m.room.power_levels", "", &levels, without(&levels, level_keys)),
                ("m.room.history_visibility", "", &history, without(&history, &["com.x"])),
                ("m.room.member", "@alice:test", &member, json!({ "membership": "join" })),
                ("m.room.join_rules", "", &restricted, without(&restricted, rule_keys)),
                ("m.room.topic", "", &json!({ "topic": "t" }), json!({})),
                ("m.room.name", "", &json!({ "name": "n" }), json!({})),
                ("m.room.canonical_alias", "", &json!({}), json!({})),
                ("com.x.y", "k", &json!({ "membership": "join" }), json!({})),
            ] {
                let id = set_state(&alice, &room, kind, key, content.clone()).await;
                redact(&alice, &room, &id).await;
                assert_eq!(event(&alice, &room, &id).await["content"], kept, "{version} {kind}");
                assert_eq!(state(&alice, &room, kind, key).await, kept, "{version} {kind}");
            }
        }
    }

    async fn the_reason_of_a_restricted_join_is_kept(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let club = create_public(&alice).await;
        join(&bob, &club).await;
        for (version, kept) in [
            ("8", json!({ "membership": "join" })),
            ("9", json!({ "membership": "join", "join_authorised_via_users_server": "@alice:test" })),
            ("12", json!({ "membership": "join", "join_authorised_via_users_server": "@alice:test" })),
        ] {
            let rule = json!({ "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": club }] });
            let room = create(&alice, json!({
                "room_version": version, "initial_state": [{ "type": "m.room.join_rules", "content": rule }],
            })).await;
            join(&bob, &room).await;
            let member = ok(bob.get(&format!("{}?format=event", state_path(&room, "m.room.member", "@bob:test"))).await);
            redact(&bob, &room, at(&member, "/event_id")).await;
            assert_eq!(state(&alice, &room, "m.room.member", "@bob:test").await, kept, "{version}");
        }
    }

    async fn the_first_event_keeps_what_it_is(server: Server) {
        let alice = server.user("alice").await;
        for version in ["10", "11"] {
            let body = json!({ "room_version": version, "creation_content": { "type": "m.space", "com.x": 1 } });
            let room = create(&alice, body).await;
            let (events, _) = all_messages(&alice, &room, "dir=f").await;
            let path = room_path(&room, &format!("redact/{}/{}", enc(at(&events[0], "/event_id")), txn()));
            if alice.put(&path, json!({})).await.status == 403 {
                // A server may refuse to redact it at all.
                continue;
            }
            let content = state(&alice, &room, "m.room.create", "").await;
            if version == "10" {
                assert_eq!(content, json!({ "creator": "@alice:test" }));
            } else {
                assert_eq!(content, json!({ "room_version": "11", "type": "m.space", "com.x": 1 }));
            }
            // The room still works.
            say(&alice, &room, "on").await;
        }
    }
}
