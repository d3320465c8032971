//! Data of one user in a room: tags, account data, receipts and markers, typing.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

fn own(client: &Client, room: &str, rest: &str) -> String {
    format!("{CS}/user/{}/rooms/{}/{rest}", client.user_id, enc(room))
}

/// The receipts in a room in a sync: `event → kind → user`.
fn receipts(sync: &Value, room: &str) -> Value {
    let events = list(joined(sync, room), "/ephemeral/events");
    of_kind(events, "m.receipt").map_or(Value::Null, |event| event["content"].clone())
}

on_both_engines! {
    async fn tags(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let tags = own(&alice, &room, "tags");
        assert_eq!(alice.get(&tags).await, (200, json!({ "tags": {} })));
        assert_eq!(alice.put(&format!("{tags}/m.favourite"), json!({ "order": 0.25 })).await, (200, json!({})));
        assert_eq!(alice.put(&format!("{tags}/u.my%20tag"), json!({})).await, (200, json!({})));
        let whole = json!({ "m.favourite": { "order": 0.25 }, "u.my tag": {} });
        assert_eq!(alice.get(&tags).await, (200, json!({ "tags": whole })));
        let first = sync(&alice).await;
        let data = list(joined(&first, &room), "/account_data/events");
        assert_eq!(of_kind(data, "m.tag").unwrap()["content"]["tags"], whole);
        alice.put(&format!("{tags}/m.favourite"), json!({ "order": 1 })).await;
        for _ in 0..2 {
            assert_eq!(alice.delete(&format!("{tags}/u.my%20tag")).await, (200, json!({})));
        }
        assert_eq!(alice.get(&tags).await, (200, json!({ "tags": { "m.favourite": { "order": 1 } } })));
        let news = sync_since(&alice, &next(&first)).await;
        let data = list(joined(&news, &room), "/account_data/events");
        assert_eq!(of_kind(data, "m.tag").unwrap()["content"], json!({ "tags": { "m.favourite": { "order": 1 } } }));
        // They are private.
        assert_eq!(bob.get(&own(&bob, &room, "tags")).await, (200, json!({ "tags": {} })));
        assert_eq!(code(&bob.get(&tags).await), (403, "M_FORBIDDEN"));
        assert_eq!(code(&bob.put(&format!("{tags}/u.x"), json!({})).await), (403, "M_FORBIDDEN"));
        assert_eq!(code(&bob.delete(&format!("{tags}/m.favourite")).await), (403, "M_FORBIDDEN"));
    }

    async fn account_data_of_a_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (room, other) = (create_public(&alice).await, create_public(&alice).await);
        let path = own(&alice, &room, "account_data/com.x");
        assert_eq!(code(&alice.get(&path).await), (404, "M_NOT_FOUND"));
        let since = now(&alice).await;
        set_room_data(&alice, &room, "com.x", json!({ "n": 1 })).await;
        assert_eq!(alice.get(&path).await, (200, json!({ "n": 1 })));
        assert_eq!(alice.get(&own(&alice, &other, "account_data/com.x")).await.status, 404);
        let news = sync_since(&alice, &since).await;
        let data = list(joined(&news, &room), "/account_data/events");
        assert_eq!(data, [json!({ "type": "com.x", "content": { "n": 1 } })]);
        assert_eq!(list(&news, "/account_data/events"), [] as [Value; 0]);
        for reply in [bob.get(&path).await, bob.put(&path, json!({})).await] {
            assert_eq!(code(&reply), (403, "M_FORBIDDEN"));
        }
        let marker = alice.put(&own(&alice, &room, "account_data/m.fully_read"), json!({ "event_id": "$x" })).await;
        assert_eq!(marker.status, 405);
        assert_eq!(alice.put(&own(&alice, "bad", "account_data/com.x"), json!({})).await.status, 400);
    }

    async fn receipts_are_seen_by_others(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (one, two) = (say(&alice, &room, "1").await, say(&alice, &room, "2").await);
        let since = now(&alice).await;
        receipt(&bob, &room, "m.read", &one, json!({})).await;
        let news = sync_until(&alice, &since, |sync| receipts(sync, &room).is_object()).await;
        let seen = receipts(&news, &room);
        assert!(seen[&one]["m.read"]["@bob:test"]["ts"].is_i64(), "{seen}");
        let since = next(&news);
        receipt(&bob, &room, "m.read", &two, json!({})).await;
        let news = sync_until(&alice, &since, |sync| receipts(sync, &room).is_object()).await;
        assert!(receipts(&news, &room)[&two]["m.read"].get("@bob:test").is_some());
        // A newcomer sees where everybody is, once.
        let seen = receipts(&sync(&alice).await, &room);
        assert!(seen.get(&one).is_none_or(|event| event["m.read"].get("@bob:test").is_none()), "{seen}");
        assert!(seen[&two]["m.read"].get("@bob:test").is_some(), "{seen}");
        // A private one is one's own.
        let (a, b) = (now(&alice).await, now(&bob).await);
        let three = say(&alice, &room, "3").await;
        receipt(&bob, &room, "m.read.private", &three, json!({})).await;
        let news = sync_until(&bob, &b, |sync| receipts(sync, &room).is_object()).await;
        assert!(receipts(&news, &room)[&three]["m.read.private"].get("@bob:test").is_some());
        let news = sync_since(&alice, &a).await;
        assert!(receipts(&news, &room).get(&three).is_none(), "{news}");
    }

    async fn receipts_of_threads(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let root = say(&alice, &room, "root").await;
        let answer = thread(&alice, &room, &root, "answer").await;
        let mut since = now(&alice).await;
        for (event, place) in [(&answer, &*root), (&root, "main")] {
            receipt(&bob, &room, "m.read", event, json!({ "thread_id": place })).await;
            let news = sync_until(&alice, &since, |sync| receipts(sync, &room).is_object()).await;
            assert_eq!(receipts(&news, &room)[event]["m.read"]["@bob:test"]["thread_id"], place);
            since = next(&news);
        }
        for bad in [json!({ "thread_id": "" }), json!({ "thread_id": 1 })] {
            let path = room_path(&room, &format!("receipt/m.read/{}", enc(&answer)));
            assert_eq!(bob.post(&path, bad.clone()).await.status, 400, "{bad}");
        }
        let fully = room_path(&room, &format!("receipt/m.fully_read/{}", enc(&answer)));
        assert_eq!(bob.post(&fully, json!({ "thread_id": root })).await.status, 400);
    }

    async fn what_is_no_receipt(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        let id = say(&alice, &room, "x").await;
        let path = |kind: &str, id: &str| room_path(&room, &format!("receipt/{kind}/{}", enc(id)));
        assert_eq!(alice.post(&path("m.bogus", &id), json!({})).await.status, 400);
        let outside = bob.post(&path("m.read", &id), json!({})).await;
        assert_eq!(code(&outside), (403, "M_FORBIDDEN"));
        assert_eq!(receipts(&sync(&alice).await, &room)[&id]["m.read"].get("@bob:test"), None);
        // Some clients send no body.
        let empty = alice.send(http::Method::POST, &path("m.read", &id), &[], "").await;
        assert!(matches!(empty.status, 200 | 400), "{}", empty.body);
    }

    async fn receipts_for_what_one_does_not_see_or_know(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({
            "preset": "public_chat",
            "initial_state": [{ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } }],
        })).await;
        let other = create_public(&alice).await;
        let hidden = say(&alice, &room, "before").await;
        let elsewhere = say(&alice, &other, "elsewhere").await;
        join(&bob, &room).await;
        let seen = say(&alice, &room, "after").await;
        let since = now(&bob).await;
        let (unknown, valid) = (format!("${}", "a".repeat(43)), "A valid room ID and event ID must be specified");
        for (room, event, of_receipt, of_marker) in [
            (&*room, &*unknown, (200, ""), (404, "M_NOT_FOUND")),
            (&room, &elsewhere, (200, ""), (404, "M_NOT_FOUND")),
            ("!unknown:test", &seen, (200, ""), (404, "M_NOT_FOUND")),
            (&room, &hidden, (403, "M_FORBIDDEN"), (403, "M_FORBIDDEN")),
            (&other, &elsewhere, (403, "M_FORBIDDEN"), (403, "M_FORBIDDEN")),
            (&room, "bad", (400, "M_INVALID_PARAM"), (400, "M_INVALID_PARAM")),
            ("bad", &seen, (400, "M_INVALID_PARAM"), (400, "M_INVALID_PARAM")),
        ] {
            for kind in ["m.read", "m.read.private", "m.fully_read"] {
                let expected = if kind == "m.fully_read" { of_marker } else { of_receipt };
                let one = bob.post(&room_path(room, &format!("receipt/{kind}/{}", enc(event))), json!({})).await;
                let together = bob.post(&room_path(room, "read_markers"), json!({ kind: event })).await;
                for reply in [one, together] {
                    assert_eq!((reply.status, reply.text("errcode")), expected, "{room} {event} {kind}");
                    assert!(reply.status != 400 || reply.text("error") == valid, "{}", reply.body);
                }
            }
        }
        // Nothing of all that is kept, also where a part was right.
        let body = json!({ "m.read": seen, "m.fully_read": hidden });
        assert_eq!(code(&bob.post(&room_path(&room, "read_markers"), body).await), (403, "M_FORBIDDEN"));
        let news = sync_since(&bob, &since).await;
        assert_eq!(joined(&news, &room), &Value::Null);
        receipt(&bob, &room, "m.read", &seen, json!({})).await;
    }

    async fn receipts_belong_to_the_thread_of_the_event(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let root = say(&alice, &room, "root").await;
        let answer = thread(&alice, &room, &root, "answer").await;
        let (plain, reaction) = (say(&alice, &room, "plain").await, react(&alice, &room, &answer, "x").await);
        let (edited, of_edit) = (edit(&alice, &room, &answer, "edited").await, react(&alice, &room, &plain, "x").await);
        let redacted = thread(&alice, &room, &root, "redacted").await;
        redact(&alice, &room, &redacted).await;
        let unknown = format!("${}", "b".repeat(43));
        for (event, threads) in [
            (&root, vec!["main", &root]), (&answer, vec![&*root]), (&plain, vec!["main"]), (&reaction, vec![&*root]),
            (&edited, vec![&*root]), (&of_edit, vec!["main"]), (&redacted, vec!["main"]), (&unknown, vec!["main"]),
        ] {
            for place in ["main", &root, &answer, &plain, "$unknown", "nonsense"] {
                let path = room_path(&room, &format!("receipt/m.read/{}", enc(event)));
                let reply = bob.post(&path, json!({ "thread_id": place })).await;
                if threads.contains(&place) {
                    assert_eq!(reply, (200, json!({})), "{event} {place}");
                } else {
                    let text = format!("event_id {event} is not related to thread {place}");
                    assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", &*text));
                }
            }
        }
    }

    async fn read_markers(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (one, two) = (say(&alice, &room, "1").await, say(&alice, &room, "2").await);
        let since = now(&bob).await;
        let body = json!({ "m.fully_read": one, "m.read": two });
        assert_eq!(bob.post(&room_path(&room, "read_markers"), body).await, (200, json!({})));
        let news = sync_until(&bob, &since, |sync| receipts(sync, &room).is_object()).await;
        assert!(receipts(&news, &room)[&two]["m.read"].get("@bob:test").is_some());
        let all = sync(&bob).await;
        let data = list(joined(&all, &room), "/account_data/events");
        assert_eq!(of_kind(data, "m.fully_read").unwrap()["content"], json!({ "event_id": one }));
        let read = bob.get(&own(&bob, &room, "account_data/m.fully_read")).await;
        assert_eq!(read, (200, json!({ "event_id": one })));
        receipt(&bob, &room, "m.fully_read", &two, json!({})).await;
        let read = bob.get(&own(&bob, &room, "account_data/m.fully_read")).await;
        assert_eq!(read, (200, json!({ "event_id": two })));
        ok(bob.post(&room_path(&room, "read_markers"), json!({ "m.read.private": two })).await);
        ok(bob.post(&room_path(&room, "read_markers"), json!({})).await);
        let bad = bob.post(&room_path(&room, "read_markers"), json!({ "m.read": 1 })).await;
        assert_eq!(bad.status, 400, "{}", bad.body);
    }

    async fn typing_is_seen_and_ends(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let who = |sync: &Value| {
            of_kind(list(joined(sync, &room), "/ephemeral/events"), "m.typing").map(|event| event["content"]["user_ids"].clone())
        };
        let since = now(&alice).await;
        typing(&bob, &room, true).await;
        let news = sync_until(&alice, &since, |sync| who(sync).is_some()).await;
        assert_eq!(who(&news), Some(json!(["@bob:test"])));
        typing(&bob, &room, false).await;
        let news = sync_until(&alice, &next(&news), |sync| who(sync).is_some()).await;
        assert_eq!(who(&news), Some(json!([])));
        // For oneself only, and only where one is.
        let other = room_path(&room, "typing/@alice:test");
        assert_eq!(bob.put(&other, json!({ "typing": true })).await.text("errcode"), "M_FORBIDDEN");
        let carol = server.user("carol").await;
        let outside = room_path(&room, "typing/@carol:test");
        assert_eq!(code(&carol.put(&outside, json!({ "typing": true })).await), (403, "M_FORBIDDEN"));
        for bad in [json!({}), json!({ "typing": "yes" }), json!({ "typing": true, "timeout": "x" })] {
            let reply = bob.put(&room_path(&room, "typing/@bob:test"), bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
    }
}
