//! Synchronisation as in the first clients.

use std::time::Duration;

use reeve_testkit::{Client, on_both_engines, tokio};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

async fn news(client: &Client, query: &str) -> Value {
    ok(client.get(&format!("{CS}/events?{query}")).await)
}

on_both_engines! {
    async fn one_room_at_first(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "name": "Room" })).await;
        say_many(&alice, &room, "m", 12).await;
        set_room_data(&alice, &room, "org.example.x", json!({ "a": 1 })).await;
        let path = room_path(&room, "initialSync");
        let whole = ok(alice.get(&path).await);
        assert_eq!((at(&whole, "/room_id"), at(&whole, "/membership"), at(&whole, "/visibility")), (&*room, "join", "private"));
        assert_eq!(bodies(list(&whole, "/messages/chunk")).len(), 10);
        assert_eq!(*bodies(list(&whole, "/messages/chunk")).last().unwrap(), "m11");
        assert_eq!(of_kind(list(&whole, "/state"), "m.room.name").unwrap()["content"]["name"], "Room");
        assert_eq!(whole["account_data"], json!([{ "type": "org.example.x", "content": { "a": 1 } }]));
        let few = ok(alice.get(&format!("{path}?limit=2")).await);
        assert_eq!(bodies(list(&few, "/messages/chunk")), ["m10", "m11"]);
        // Its tokens lead on.
        let earlier = messages(&alice, &room, &format!("dir=b&limit=2&from={}", enc(at(&few, "/messages/start")))).await;
        assert_eq!(bodies(list(&earlier, "/chunk")), ["m9", "m8"]);
        assert_eq!(code(&bob.get(&path).await), (403, "M_FORBIDDEN"));
        // A former member knows the room as it was then; everybody knows one that the world may read.
        bring(&alice, &room, &bob).await;
        leave(&bob, &room).await;
        say(&alice, &room, "behind their back").await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "New" })).await;
        let left = ok(bob.get(&path).await);
        assert_eq!(left["membership"], "leave");
        assert!(!bodies(list(&left, "/messages/chunk")).contains(&"behind their back"));
        assert_eq!(of_kind(list(&left, "/state"), "m.room.name").unwrap()["content"]["name"], "Room");
        let open = create(&alice, json!({
            "initial_state": [{ "type": "m.room.history_visibility", "content": { "history_visibility": "world_readable" } }],
        })).await;
        say(&alice, &open, "hello world").await;
        let peeked = ok(bob.get(&room_path(&open, "initialSync")).await);
        assert_eq!((bodies(list(&peeked, "/messages/chunk")), peeked.get("membership")), (vec!["hello world"], None));
    }

    async fn all_rooms_at_first(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (one, left, invited) = (create_public(&alice).await, create_public(&bob).await, create(&bob, json!({})).await);
        say_many(&alice, &one, "m", 3).await;
        join(&alice, &left).await;
        leave(&alice, &left).await;
        invite(&bob, &invited, "@alice:test").await;
        set_data(&alice, "org.example.y", json!({ "b": 2 })).await;
        let whole = ok(alice.get(&format!("{CS}/initialSync?limit=2")).await);
        let rooms = list(&whole, "/rooms");
        let found: Vec<_> = rooms.iter().map(|room| (at(room, "/room_id"), at(room, "/membership"))).collect();
        assert_eq!(found, [(&*invited, "invite"), (&*one, "join")]);
        assert_eq!((&rooms[0]["inviter"], &rooms[0]["invite"]["content"]["membership"]), (&json!("@bob:test"), &json!("invite")));
        assert!(rooms[0].get("state").is_none() && rooms[0].get("messages").is_none());
        assert_eq!(bodies(list(&rooms[1], "/messages/chunk")), ["m1", "m2"]);
        assert!(of_kind(list(&rooms[1], "/state"), "m.room.create").is_some());
        assert!(list(&whole, "/account_data").contains(&json!({ "type": "org.example.y", "content": { "b": 2 } })));
        let archived = ok(alice.get(&format!("{CS}/initialSync?archived=true")).await);
        let rooms: Vec<_> = list(&archived, "/rooms").iter().map(|room| at(room, "/room_id")).collect();
        assert!(rooms.contains(&&*left), "{rooms:?}");
        // The next events follow.
        say(&alice, &one, "later").await;
        let later = news(&alice, &format!("timeout=0&from={}", enc(at(&whole, "/end")))).await;
        assert_eq!(bodies(list(&later, "/chunk")), ["later"]);
    }

    async fn events_as_they_come(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (room, other) = (create_public(&alice).await, create(&alice, json!({})).await);
        join(&bob, &room).await;
        let start = at(&news(&bob, "timeout=0").await, "/end").to_owned();
        say(&alice, &other, "not for bob").await;
        say_many(&alice, &room, "m", 3).await;
        let came = news(&bob, &format!("timeout=0&from={}", enc(&start))).await;
        assert_eq!((bodies(list(&came, "/chunk")), at(&came, "/start")), (vec!["m0", "m1", "m2"], &*start));
        let end = at(&came, "/end").to_owned();
        assert!(list(&news(&bob, &format!("timeout=0&from={}", enc(&end))).await, "/chunk").is_empty());
        // A waiting client is woken, also by an invitation.
        let wait = async { news(&bob, &format!("timeout=30000&from={}", enc(&end))).await };
        let deed = async { invite(&alice, &other, "@bob:test").await };
        let woken = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(wait, deed).0 }).await.unwrap();
        let chunk = list(&woken, "/chunk");
        assert_eq!((chunk.len(), at(&chunk[0], "/content/membership"), at(&chunk[0], "/state_key")), (1, "invite", "@bob:test"));
        // A room that was left and forgotten is silent.
        leave(&bob, &other).await;
        assert_eq!(list(&news(&bob, &format!("timeout=0&from={}", enc(&end))).await, "/chunk").len(), 1);
        forget(&bob, &other).await;
        assert!(list(&news(&bob, &format!("timeout=0&from={}", enc(&end))).await, "/chunk").is_empty());
        // Many events are returned in pages, and none is lost.
        let mut from = at(&news(&bob, "timeout=0").await, "/end").to_owned();
        let sent = say_many(&alice, &room, "n", 130).await;
        let mut all = Vec::new();
        for _ in 0..2 {
            let page = news(&bob, &format!("timeout=0&from={}", enc(&from))).await;
            assert!(list(&page, "/chunk").len() <= 100);
            all.extend(ids(list(&page, "/chunk")).into_iter().map(str::to_owned));
            at(&page, "/end").clone_into(&mut from);
        }
        assert_eq!(all, sent);
        assert_eq!(code(&bob.get(&format!("{CS}/events?from=x")).await), (400, "M_INVALID_PARAM"));
        // One room, which may be one that the world may read.
        let closed = bob.get(&format!("{CS}/events?timeout=0&room_id={}", enc(&create(&alice, json!({})).await))).await;
        assert_eq!(code(&closed), (403, "M_FORBIDDEN"));
        let open = create(&alice, json!({
            "initial_state": [{ "type": "m.room.history_visibility", "content": { "history_visibility": "world_readable" } }],
        })).await;
        let start = at(&news(&bob, &format!("timeout=0&room_id={}", enc(&open))).await, "/end").to_owned();
        say(&alice, &open, "hello world").await;
        say(&alice, &room, "elsewhere").await;
        let peeked = news(&bob, &format!("timeout=0&room_id={}&from={}", enc(&open), enc(&start))).await;
        assert_eq!(bodies(list(&peeked, "/chunk")), ["hello world"]);
    }

    async fn one_event_without_its_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({})).await;
        let said = say(&alice, &room, "hello").await;
        let path = format!("{CS}/events/{}", enc(&said));
        let found = ok(alice.get(&path).await);
        assert_eq!((at(&found, "/content/body"), at(&found, "/room_id")), ("hello", &*room));
        assert_eq!(code(&bob.get(&path).await), (404, "M_NOT_FOUND"));
        assert_eq!(code(&alice.get(&format!("{CS}/events/$none")).await), (404, "M_NOT_FOUND"));
    }
}
