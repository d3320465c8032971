//! Relations, threads, and data bundled with an event.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

fn path(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v1/rooms/{}/{rest}", enc(room))
}

async fn children(client: &Client, room: &str, event: &str, rest: &str) -> Value {
    ok(client.get(&path(room, &format!("relations/{}{rest}", enc(event)))).await)
}

on_both_engines! {
    async fn the_children_of_an_event(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let root = say(&alice, &room, "root").await;
        let edited = edit(&alice, &room, &root, "new").await;
        let like = react(&alice, &room, &root, "+1").await;
        let answer = thread(&alice, &room, &root, "answer").await;
        let pointing = send(&alice, &room, "com.x", json!({ "m.relates_to": { "rel_type": "m.reference", "event_id": root } })).await;
        say(&alice, &room, "unrelated").await;
        let all = children(&alice, &room, &root, "").await;
        assert_eq!(ids(list(&all, "/chunk")), [&*pointing, &*answer, &*like, &*edited]);
        let forth = children(&alice, &room, &root, "?dir=f").await;
        assert_eq!(ids(list(&forth, "/chunk")), [&*edited, &*like, &*answer, &*pointing]);
        for (rest, found) in [
            ("/m.replace", vec![&*edited]), ("/m.annotation", vec![&*like]), ("/m.thread", vec![&*answer]), ("/m.reference", vec![&*pointing]),
            ("/m.annotation/m.reaction", vec![&*like]), ("/m.thread/m.room.message", vec![&*answer]), ("/m.thread/m.reaction", vec![]),
            ("/com.other", vec![]),
        ] {
            assert_eq!(ids(list(&children(&alice, &room, &root, rest).await, "/chunk")), found, "{rest}");
        }
        assert_eq!(list(&children(&alice, &room, &answer, "").await, "/chunk").len(), 0);
        let first = children(&alice, &room, &root, "?limit=3").await;
        assert_eq!(ids(list(&first, "/chunk")), [&*pointing, &*answer, &*like]);
        let rest = children(&alice, &room, &root, &format!("?limit=3&from={}", enc(at(&first, "/next_batch")))).await;
        assert_eq!((ids(list(&rest, "/chunk")), rest.get("next_batch")), (vec![&*edited], None));
        for bad in ["?limit=x", "?dir=x", "?from=nonsense", "?limit=-1"] {
            let reply = alice.get(&path(&room, &format!("relations/{}{bad}", enc(&root)))).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
        // A redacted event has no relation.
        redact(&alice, &room, &like).await;
        assert_eq!(list(&children(&alice, &room, &root, "/m.annotation").await, "/chunk").len(), 0);
    }

    async fn children_of_children(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let root = say(&alice, &room, "root").await;
        let answer = thread(&alice, &room, &root, "answer").await;
        let like = react(&alice, &room, &answer, "+1").await;
        let flat = children(&alice, &room, &root, "").await;
        assert_eq!(ids(list(&flat, "/chunk")), [&*answer]);
        let deep = children(&alice, &room, &root, "?recurse=true").await;
        assert_eq!(ids(list(&deep, "/chunk")), [&*like, &*answer]);
        assert!(deep["recursion_depth"].as_i64().unwrap() >= 2, "{deep}");
        let deep = children(&alice, &room, &root, "/m.annotation?recurse=true").await;
        assert_eq!(ids(list(&deep, "/chunk")), [&*like]);
    }

    async fn who_may_ask_for_relations(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({})).await;
        let root = say(&alice, &room, "root").await;
        for (client, event) in [(&bob, &*root), (&alice, "$unknown")] {
            let reply = client.get(&path(&room, &format!("relations/{}", enc(event)))).await;
            assert!(matches!(reply.status, 403 | 404), "{event}: {}", reply.body);
        }
        assert_eq!(code(&bob.get(&path(&room, "threads")).await), (403, "M_FORBIDDEN"));
    }

    async fn edits_are_bundled(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let id = say(&alice, &room, "one").await;
        assert!(event(&bob, &room, &id).await["unsigned"]["m.relations"].get("m.replace").is_none());
        edit(&alice, &room, &id, "two").await;
        let last = edit(&alice, &room, &id, "three").await;
        // Not by another user, and not of an edit.
        edit(&bob, &room, &id, "forged").await;
        let seen = event(&bob, &room, &id).await;
        let bundled = &seen["unsigned"]["m.relations"]["m.replace"];
        assert_eq!((at(bundled, "/event_id"), at(bundled, "/content/m.new_content/body")), (&*last, "three"));
        assert_eq!((at(bundled, "/sender"), at(&seen, "/content/body")), ("@alice:test", "one"));
        let (events, _) = all_messages(&bob, &room, "dir=b").await;
        let seen = events.iter().find(|event| event["event_id"] == *id).unwrap();
        assert_eq!(at(seen, "/unsigned/m.relations/m.replace/event_id"), last);
        redact(&alice, &room, &last).await;
        let seen = event(&bob, &room, &id).await;
        assert_eq!(at(&seen, "/unsigned/m.relations/m.replace/content/m.new_content/body"), "two");
        redact(&alice, &room, &id).await;
        assert!(event(&bob, &room, &id).await["unsigned"]["m.relations"].get("m.replace").is_none());
    }

    async fn references_are_bundled(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let root = say(&alice, &room, "root").await;
        let mut pointing = Vec::new();
        for number in 0..3 {
            let content = json!({ "n": number, "m.relates_to": { "rel_type": "m.reference", "event_id": root } });
            pointing.push(send(&alice, &room, "com.x", content).await);
        }
        let seen = event(&alice, &room, &root).await;
        let mut bundled = ids(list(&seen, "/unsigned/m.relations/m.reference/chunk"));
        bundled.sort_unstable();
        pointing.sort_unstable();
        assert_eq!(bundled, pointing);
    }

    async fn threads_are_bundled_and_listed(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (one, two, three) = (say(&alice, &room, "one").await, say(&bob, &room, "two").await, say(&alice, &room, "three").await);
        thread(&alice, &room, &one, "1a").await;
        thread(&alice, &room, &two, "2a").await;
        thread(&alice, &room, &three, "3a").await;
        let last = thread(&bob, &room, &one, "1b").await;
        let bundle = async |client: &Client, id: &str| event(client, &room, id).await["unsigned"]["m.relations"]["m.thread"].clone();
        let seen = bundle(&alice, &one).await;
        assert_eq!((&seen["count"], at(&seen, "/latest_event/event_id"), &seen["current_user_participated"]), (&json!(2), &*last, &json!(true)));
        // Having begun a thread is taking part in it too.
        assert_eq!(bundle(&bob, &two).await["current_user_participated"], true);
        assert_eq!(bundle(&bob, &three).await["current_user_participated"], false);
        let threads = async |client: &Client, query: &str| ok(client.get(&path(&room, &format!("threads{query}"))).await);
        let all = threads(&bob, "").await;
        assert_eq!(ids(list(&all, "/chunk")), [&*one, &*three, &*two]);
        assert_eq!(at(&all, "/chunk/0/unsigned/m.relations/m.thread/latest_event/event_id"), last);
        assert_eq!(ids(list(&threads(&bob, "?include=participated").await, "/chunk")), [&*one, &*two]);
        let first = threads(&bob, "?limit=2").await;
        assert_eq!(ids(list(&first, "/chunk")), [&*one, &*three]);
        let rest = threads(&bob, &format!("?limit=2&from={}", enc(at(&first, "/next_batch")))).await;
        assert_eq!((ids(list(&rest, "/chunk")), rest.get("next_batch")), (vec![&*two], None));
        for bad in ["?limit=x", "?from=nonsense"] {
            assert_eq!(bob.get(&path(&room, &format!("threads{bad}"))).await.status, 400, "{bad}");
        }
        // A redacted reply does not count.
        redact(&bob, &room, &last).await;
        assert_eq!(bundle(&alice, &one).await["count"], 1);
    }

    async fn an_edit_shows_in_the_thread(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let root = say(&alice, &room, "root").await;
        let answer = thread(&alice, &room, &root, "answer").await;
        let changed = edit(&alice, &room, &answer, "better").await;
        let seen = event(&alice, &room, &root).await;
        let latest = &seen["unsigned"]["m.relations"]["m.thread"]["latest_event"];
        assert_eq!(at(latest, "/event_id"), answer);
        assert_eq!(at(latest, "/unsigned/m.relations/m.replace/event_id"), changed);
        // A thread does not begin in a thread.
        let reply = try_send(&alice, &room, "m.room.message", json!({
            "msgtype": "m.text", "body": "x", "m.relates_to": { "rel_type": "m.thread", "event_id": answer },
        })).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
    }

    async fn a_reaction_is_given_once(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let id = say(&alice, &room, "x").await;
        let like = react(&alice, &room, &id, "+1").await;
        let content = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": id, "key": "+1" } });
        let twice = try_send(&alice, &room, "m.reaction", content.clone()).await;
        assert_eq!(code(&twice), (400, "M_DUPLICATE_ANNOTATION"));
        react(&alice, &room, &id, "-1").await;
        react(&bob, &room, &id, "+1").await;
        redact(&alice, &room, &like).await;
        send(&alice, &room, "m.reaction", content).await;
    }
}
