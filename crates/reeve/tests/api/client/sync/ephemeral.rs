//! Typing, receipts, and presence.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

/// The receipt of a user at an event; null if there is none.
fn receipt_at<'a>(sync: &'a Value, room: &str, event: &str, kind: &str, user_id: &str) -> &'a Value {
    &ephemeral(sync, room, "m.receipt")[event][kind][user_id]
}

on_both_engines! {
    async fn typing_is_seen_and_ends(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (since, stranger) = (now(&alice).await, now(&carol).await);
        typing(&bob, &room, true).await;
        let came = sync_until(&alice, &since, |sync| !ephemeral(sync, &room, "m.typing").is_null()).await;
        assert_eq!(ephemeral(&came, &room, "m.typing"), &json!({ "user_ids": ["@bob:test"] }));
        assert!(timeline(&came, &room).is_empty(), "{came}");
        typing(&bob, &room, false).await;
        let came = sync_until(&alice, &next(&came), |sync| !ephemeral(sync, &room, "m.typing").is_null()).await;
        assert_eq!(ephemeral(&came, &room, "m.typing"), &json!({ "user_ids": [] }));
        assert!(rooms_in(&sync_since(&carol, &stranger).await, "join").is_empty());
    }

    async fn typing_ends_by_itself(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        typing(&bob, &room, true).await;
        typing(&alice, &room, true).await;
        let came = sync(&alice).await;
        let mut both: Vec<&str> = list(ephemeral(&came, &room, "m.typing"), "/user_ids").iter()
            .map(|id| id.as_str().unwrap()).collect();
        both.sort_unstable();
        assert_eq!(both, ["@alice:test", "@bob:test"]);
        server.clock.advance(30_001);
        let none = |sync: &Value| ephemeral(sync, &room, "m.typing") == &json!({ "user_ids": [] });
        sync_until(&alice, &next(&came), none).await;
    }

    async fn receipts_of_others(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        for guest in [&bob, &carol] {
            join(guest, &room).await;
        }
        let said = say_many(&alice, &room, "m", 2).await;
        let since = now(&alice).await;
        receipt(&bob, &room, "m.read", &said[0], json!({})).await;
        let came = sync_since(&alice, &since).await;
        assert!(receipt_at(&came, &room, &said[0], "m.read", "@bob:test")["ts"].is_i64(), "{came}");
        receipt(&bob, &room, "m.read", &said[1], json!({})).await;
        receipt(&carol, &room, "m.read", &said[1], json!({})).await;
        let came = sync_since(&alice, &next(&came)).await;
        for user_id in ["@bob:test", "@carol:test"] {
            assert!(receipt_at(&came, &room, &said[1], "m.read", user_id)["ts"].is_i64(), "{came}");
        }
        // A first sync has the last of each.
        let first = sync(&alice).await;
        assert!(receipt_at(&first, &room, &said[0], "m.read", "@bob:test").is_null(), "{first}");
        for user_id in ["@bob:test", "@carol:test"] {
            assert!(receipt_at(&first, &room, &said[1], "m.read", user_id)["ts"].is_i64(), "{first}");
        }
    }

    async fn receipts_in_threads(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let root = say(&alice, &room, "root").await;
        let answer = thread(&alice, &room, &root, "answer").await;
        let since = now(&alice).await;
        receipt(&bob, &room, "m.read", &answer, json!({ "thread_id": root })).await;
        let came = sync_since(&alice, &since).await;
        assert_eq!(receipt_at(&came, &room, &answer, "m.read", "@bob:test")["thread_id"], json!(root));
        receipt(&bob, &room, "m.read", &root, json!({ "thread_id": "main" })).await;
        let came = sync_since(&alice, &next(&came)).await;
        assert_eq!(receipt_at(&came, &room, &root, "m.read", "@bob:test")["thread_id"], "main");
        receipt(&bob, &room, "m.read", &answer, json!({})).await;
        let came = sync_since(&alice, &next(&came)).await;
        let plain = receipt_at(&came, &room, &answer, "m.read", "@bob:test");
        assert!(plain["ts"].is_i64() && plain.get("thread_id").is_none(), "{came}");
    }

    async fn private_receipts(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("bob", "bob's password").await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let said = say(&alice, &room, "m").await;
        let (of_alice, of_bob) = (now(&alice).await, now(&phone).await);
        receipt(&bob, &room, "m.read.private", &said, json!({})).await;
        let came = sync_since(&phone, &of_bob).await;
        assert!(receipt_at(&came, &room, &said, "m.read.private", "@bob:test")["ts"].is_i64(), "{came}");
        for came in [sync_since(&alice, &of_alice).await, sync(&alice).await] {
            assert!(ephemeral(&came, &room, "m.receipt")[&said].get("m.read.private").is_none(), "{came}");
        }
    }

    async fn a_full_read_marker(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let said = say(&bob, &room, "m").await;
        let (since, of_bob) = (now(&alice).await, now(&bob).await);
        ok(alice.post(&room_path(&room, "read_markers"), json!({ "m.fully_read": said, "m.read": said })).await);
        for came in [sync_since(&alice, &since).await, sync(&alice).await] {
            assert_eq!(room_data(&came, &room, "m.fully_read"), &json!({ "event_id": said }));
        }
        let came = sync_since(&bob, &of_bob).await;
        assert!(receipt_at(&came, &room, &said, "m.read", "@alice:test")["ts"].is_i64(), "{came}");
        assert!(room_data(&came, &room, "m.fully_read").is_null(), "{came}");
    }

    async fn presence(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (since, stranger) = (now(&alice).await, now(&carol).await);
        let path = format!("{CS}/presence/@bob:test/status");
        ok(bob.put(&path, json!({ "presence": "unavailable", "status_msg": "At lunch" })).await);
        let about = |sync: &Value| list(sync, "/presence/events").iter().rfind(|event| {
            event["sender"] == "@bob:test" && event["content"]["status_msg"] == "At lunch"
        }).cloned();
        let came = sync_until(&alice, &since, |sync| about(sync).is_some()).await;
        let event = about(&came).unwrap();
        assert_eq!((&event["type"], &event["content"]["presence"]), (&json!("m.presence"), &json!("unavailable")));
        // Only those who share a room see it.
        let came = sync_since(&carol, &stranger).await;
        assert!(about(&came).is_none(), "{came}");
    }
}
