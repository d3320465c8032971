//! The `unsigned` data of events in a sync, by viewer.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

on_both_engines! {
    async fn the_transaction_is_for_the_sending_device(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (own, of_phone, of_bob) = (now(&alice).await, now(&phone).await, now(&bob).await);
        let content = json!({ "msgtype": "m.text", "body": "m" });
        ok(alice.put(&room_path(&room, "send/m.room.message/my-own-id"), content).await);
        let came = sync_since(&alice, &own).await;
        let transaction = |came: &Value| timeline(came, &room)[0]["unsigned"].get("transaction_id").cloned();
        assert_eq!(transaction(&came), Some(json!("my-own-id")));
        assert_eq!(transaction(&sync_since(&phone, &of_phone).await), None);
        let seen = sync_since(&bob, &of_bob).await;
        assert_eq!(transaction(&seen), None);
        // In pages of the timeline and with a redaction, too.
        let page = messages(&alice, &room, "dir=b&limit=1").await;
        assert_eq!(list(&page, "/chunk")[0]["unsigned"]["transaction_id"], "my-own-id");
        let id = ids(timeline(&came, &room))[0];
        ok(alice.put(&room_path(&room, &format!("redact/{}/my-second-id", enc(id))), json!({})).await);
        assert_eq!(transaction(&sync_since(&alice, &next(&came)).await), Some(json!("my-second-id")));
        assert_eq!(transaction(&sync_since(&bob, &next(&seen)).await), None);
    }

    async fn the_age(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let since = now(&alice).await;
        say(&alice, &room, "m").await;
        server.clock.advance(3000);
        let came = sync_since(&alice, &since).await;
        let age = timeline(&came, &room)[0]["unsigned"]["age"].as_i64().unwrap();
        assert!((3000..60_000).contains(&age), "{age}");
    }

    async fn what_state_there_was_before(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "A" })).await;
        join(&bob, &room).await;
        let since = now(&alice).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "B" })).await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "T" })).await;
        rename(&bob, "Bobby").await;
        let came = sync_until(&alice, &since, |sync| of_kind(timeline(sync, &room), "m.room.member").is_some()).await;
        let all = if of_kind(timeline(&came, &room), "m.room.name").is_some() { came } else { sync_since(&alice, &since).await };
        let events = timeline(&all, &room);
        let before = |kind: &str| of_kind(events, kind).unwrap()["unsigned"].get("prev_content").cloned();
        assert_eq!(before("m.room.name"), Some(json!({ "name": "A" })));
        assert_eq!(before("m.room.topic"), None);
        let member = before("m.room.member").unwrap();
        assert_eq!((&member["displayname"], &member["membership"]), (&json!("bob"), &json!("join")));
    }

    async fn ones_own_membership_at_the_time(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        say(&alice, &room, "before").await;
        join(&bob, &room).await;
        say(&alice, &room, "after").await;
        let came = sync(&bob).await;
        let of = |body: &str| {
            let event = timeline(&came, &room).iter().find(|event| at(event, "/content/body") == body).unwrap();
            at(event, "/unsigned/membership").to_owned()
        };
        assert_eq!((of("before"), of("after")), ("leave".to_owned(), "join".to_owned()));
    }

    async fn what_relates_to_an_event(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let root = say(&alice, &room, "root").await;
        let answer = thread(&bob, &room, &root, "answer").await;
        let changed = say(&alice, &room, "typo").await;
        let change = edit(&alice, &room, &changed, "no typo").await;
        // Where there is a gap; else one has seen it all.
        let first = sync_filtered(&bob, &json!({ "room": { "timeline": { "limit": 4 } } })).await;
        let of = |id: &str| timeline(&first, &room).iter().find(|event| event["event_id"] == id).unwrap();
        let thread = &of(&root)["unsigned"]["m.relations"]["m.thread"];
        assert_eq!((&thread["count"], at(thread, "/latest_event/event_id")), (&json!(1), &*answer));
        assert_eq!(thread["current_user_participated"], true);
        assert_eq!(at(of(&changed), "/unsigned/m.relations/m.replace/event_id"), change);
    }
}
