//! `rooms/{roomId}/send`: events, transaction ids, and invalid events.

use std::collections::BTreeSet;

use futures_util::future;
use http::Method;
use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;

fn text(body: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body })
}

on_both_engines! {
    async fn a_message_is_an_event(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let content = json!({
            "msgtype": "m.text", "body": "ä\u{1f600}\n\"", "com.x": [1, -5, null, true, { "b": 1, "a": 2 }],
            "int": 9_007_199_254_740_991_i64,
        });
        let id = send(&alice, &room, "m.room.message", content.clone()).await;
        assert!(id.starts_with('$'));
        let seen = event(&bob, &room, &id).await;
        assert_eq!(seen["content"], content);
        assert_eq!((at(&seen, "/event_id"), at(&seen, "/room_id"), at(&seen, "/sender")), (&*id, &*room, "@alice:test"));
        assert_eq!(at(&seen, "/type"), "m.room.message");
        assert!(seen.get("state_key").is_none());
        assert!(seen["origin_server_ts"].as_i64().unwrap() > 0);
        // Data of the federation format is not shown.
        for key in ["auth_events", "prev_events", "depth", "hashes", "signatures"] {
            assert!(seen.get(key).is_none(), "{key}: {seen}");
        }
        let own = send(&alice, &room, "com.example.type/with/slashes", json!({})).await;
        assert_eq!(at(&event(&bob, &room, &own).await, "/type"), "com.example.type/with/slashes");
    }

    async fn a_transaction_is_done_once(server: Server) {
        let mut server = server;
        let alice = server.user("alice").await;
        let (room, other) = (create(&alice, json!({})).await, create(&alice, json!({})).await);
        let path = |room: &str| room_path(room, "send/m.room.message/once");
        let first = ok(alice.put(&path(&room), text("one")).await);
        for body in [text("one"), text("two")] {
            assert_eq!(ok(alice.put(&path(&room), body).await), first);
        }
        // Another room, device, or kind of request is another transaction.
        let elsewhere = ok(alice.put(&path(&other), text("one")).await);
        assert_ne!(elsewhere, first);
        let second = server.log_in("alice", "alice's password").await;
        let by_second = ok(second.put(&path(&room), text("three")).await);
        assert_ne!(by_second, first);
        let redaction = room_path(&room, &format!("redact/{}/once", enc(at(&by_second, "/event_id"))));
        let redacted = ok(alice.put(&redaction, json!({})).await);
        assert_ne!(redacted, first);
        assert_eq!(ok(alice.put(&redaction, json!({})).await), redacted);
        // It still holds after a restart of the server.
        server.restart(|_| ()).await;
        let token = alice.token.clone().unwrap();
        let alice = server.with_token(&token);
        assert_eq!(ok(alice.put(&path(&room), text("four")).await), first);
        let (events, _) = all_messages(&alice, &room, "dir=f").await;
        let texts: Vec<&str> = bodies(&events).into_iter().filter(|body| !body.is_empty()).collect();
        assert_eq!(texts, ["one"]);
    }

    async fn transactions_at_the_same_time_are_one(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let path = room_path(&room, "send/m.room.message/race");
        let send = || alice.put(&path, text("race"));
        let replies = futures_util::future::join_all([send(), send(), send(), send()]).await;
        let sent: Vec<Value> = replies.into_iter().map(ok).collect();
        assert!(sent.iter().all(|body| *body == sent[0]), "{sent:?}");
        let (events, _) = all_messages(&alice, &room, "dir=f").await;
        assert_eq!(bodies(&events), ["race"]);
    }

    async fn a_refused_transaction_may_be_tried_again(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        let path = room_path(&room, "send/m.room.message/again");
        assert_eq!(code(&bob.put(&path, text("x")).await), (403, "M_FORBIDDEN"));
        join(&bob, &room).await;
        ok(bob.put(&path, text("x")).await);
    }

    async fn who_may_send(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat" })).await;
        let refused = (403, "M_FORBIDDEN");
        let try_text = || try_send(&bob, &room, "m.room.message", text("x"));
        assert_eq!(code(&try_text().await), refused);
        invite(&alice, &room, "@bob:test").await;
        assert_eq!(code(&try_text().await), refused);
        join(&bob, &room).await;
        assert_eq!(try_text().await.status, 200);
        change_levels(&alice, &room, json!({ "events": { "m.room.message": 10 } })).await;
        assert_eq!(code(&try_text().await), refused);
        send(&bob, &room, "com.other", json!({})).await;
        set_level(&alice, &room, "@bob:test", 10).await;
        assert_eq!(try_text().await.status, 200);
        leave(&bob, &room).await;
        assert_eq!(code(&try_text().await), refused);
        ban(&alice, &room, "@bob:test").await;
        assert_eq!(code(&try_text().await), refused);
        let stranger = server.stranger().put(&room_path(&room, "send/m.room.message/1"), text("x")).await;
        assert_eq!(code(&stranger), (401, "M_MISSING_TOKEN"));
        for nowhere in ["!unknown:test", "!unknown"] {
            let reply = try_send(&alice, nowhere, "m.room.message", text("x")).await;
            assert!(matches!(reply.status, 400 | 403 | 404), "{nowhere}: {}", reply.body);
        }
    }

    async fn an_event_has_a_size(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let sized = |length: usize| text(&"x".repeat(length));
        send(&alice, &room, "m.room.message", sized(60_000)).await;
        for length in [65_536, 100_000, 500_000] {
            let reply = try_send(&alice, &room, "m.room.message", sized(length)).await;
            assert_eq!(code(&reply), (413, "M_TOO_LARGE"), "{length}");
            let reply = try_state(&alice, &room, "m.room.topic", "", json!({ "topic": "x".repeat(length) })).await;
            assert_eq!(code(&reply), (413, "M_TOO_LARGE"), "{length}");
        }
        // Types and state keys have at most 255 bytes.
        send(&alice, &room, &"t".repeat(255), json!({})).await;
        for kind in ["t".repeat(256), "ä".repeat(128)] {
            let reply = try_send(&alice, &room, &kind, json!({})).await;
            assert!(matches!(reply.status, 400 | 413), "{}", reply.body);
        }
        set_state(&alice, &room, "com.x", &"k".repeat(255), json!({})).await;
        let reply = try_state(&alice, &room, "com.x", &"k".repeat(256), json!({})).await;
        assert!(matches!(reply.status, 400 | 413), "{}", reply.body);
    }

    async fn numbers_are_whole_and_not_too_large(server: Server) {
        let alice = server.user("alice").await;
        for version in ["6", "11", "12"] {
            let room = create_version(&alice, version).await;
            for number in ["1.5", "0.1", "1e100", "9007199254740992", "-9007199254740992", "18446744073709551616"] {
                for body in [format!("{{\"n\":{number}}}"), format!("{{\"a\":[{{\"n\":{number}}}]}}")] {
                    for path in [format!("send/com.x/{}", txn()), "state/com.x".to_owned()] {
                        let reply = alice.send(Method::PUT, &room_path(&room, &path), &[], body.clone()).await;
                        assert_eq!(code(&reply), (400, "M_BAD_JSON"), "{version} {path} {body}");
                    }
                }
            }
            for number in [9_007_199_254_740_991_i64, -9_007_199_254_740_991, 0] {
                send(&alice, &room, "com.x", json!({ "n": number })).await;
            }
        }
    }

    async fn what_is_no_event(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let path = || room_path(&room, &format!("send/m.room.message/{}", txn()));
        for body in ["", "{", "{\"body\":\"\\ud800\"}", "{\"n\":NaN}"] {
            let reply = alice.send(Method::PUT, &path(), &[], body).await;
            assert_eq!(code(&reply), (400, "M_NOT_JSON"), "{body}");
        }
        for body in ["[]", "\"x\"", "null", "1"] {
            let reply = alice.send(Method::PUT, &path(), &[], body).await;
            assert_eq!(code(&reply), (400, "M_BAD_JSON"), "{body}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        let reply = alice.send(Method::PUT, &path(), &[], deep).await;
        assert!(matches!(reply.status, 400 | 413), "{}", reply.body);
        for room in ["bad", "@alice:test", "%21", "!"] {
            let reply = alice.put(&format!("{CS}/rooms/{room}/send/m.room.message/1"), text("x")).await;
            assert!(matches!(reply.status, 400 | 403 | 404), "{room}: {}", reply.body);
        }
        // The server is well after all that.
        say(&alice, &room, "well").await;
        // State is not sent as a message.
        let reply = alice.post(&room_path(&room, "send/m.room.message/1"), text("x")).await;
        assert_eq!(reply.status, 405);
    }

    async fn the_same_at_once_is_as_many_events(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        // The clock stands still, so only its place in the room distinguishes them.
        let sent = future::join_all((0..80).map(|_| say(&alice, &room, "the same"))).await;
        let (found, _) = all_messages(&alice, &room, "dir=f&limit=100").await;
        let mut found: Vec<&str> = found.iter().filter(|event| event["type"] == "m.room.message").map(|event| at(event, "/event_id")).collect();
        let mut sent: Vec<&str> = sent.iter().map(String::as_str).collect();
        sent.sort_unstable();
        found.sort_unstable();
        assert_eq!((&sent, sent.iter().collect::<BTreeSet<_>>().len()), (&found, 80));
    }

    async fn the_same_rooms_at_once_are_as_many_rooms(server: Server) {
        let alice = server.user("alice").await;
        let body = json!({ "name": "the same", "preset": "public_chat" });
        let rooms = future::join_all((0..24).map(|_| create(&alice, body.clone()))).await;
        assert_eq!(rooms.into_iter().collect::<BTreeSet<_>>().len(), 24);
    }

    async fn many_at_once_all_arrive(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let sends = (0..40).map(|number| {
            let (sender, room) = (if number % 2 == 0 { &alice } else { &bob }, &room);
            async move { say(sender, room, &format!("m{number}")).await }
        });
        let mut sent = futures_util::future::join_all(sends).await;
        let (events, _) = all_messages(&bob, &room, "dir=b&limit=7").await;
        let mut seen: Vec<&str> = ids(&events).into_iter().filter(|id| sent.iter().any(|sent| sent == id)).collect();
        seen.sort_unstable();
        sent.sort_unstable();
        assert_eq!(seen, sent);
    }
}
