//! The state beside the timeline.

use http::Method;
use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

fn limit(limit: i64) -> Value {
    json!({ "room": { "timeline": { "limit": limit } } })
}

on_both_engines! {
    async fn changes_come_in_the_timeline(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let since = now(&alice).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "A" })).await;
        set_state(&alice, &room, "org.example.shelf", "left", json!({ "books": 3 })).await;
        let came = sync_since(&alice, &since).await;
        let events = timeline(&came, &room);
        assert_eq!(content(of_state(events, "m.room.name", "")), &json!({ "name": "A" }));
        assert_eq!(content(of_state(events, "org.example.shelf", "left")), &json!({ "books": 3 }));
        assert_eq!(list(joined(&came, &room), "/state/events"), [] as [Value; 0]);
    }

    async fn changes_in_a_gap_come_beside_it(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let since = now(&alice).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "A" })).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "B" })).await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "T" })).await;
        say_many(&alice, &room, "m", 3).await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "U" })).await;
        let came = since_filtered(&alice, &since, &limit(2)).await;
        let (beside, events) = (list(joined(&came, &room), "/state/events"), timeline(&came, &room));
        assert_eq!(bodies(events), ["m2"]);
        assert_eq!(content(of_state(events, "m.room.topic", ""))["topic"], "U");
        // The state at the beginning of the timeline, and only the changes since.
        assert_eq!(content(of_state(beside, "m.room.name", "")), &json!({ "name": "B" }));
        assert_eq!(content(of_state(beside, "m.room.topic", ""))["topic"], "T");
        assert_eq!(beside.len(), 2, "{came}");
    }

    async fn all_of_it_on_demand(server: Server) {
        let alice = server.user("alice").await;
        let (room, quiet) = (create_public(&alice).await, create(&alice, json!({ "name": "Quiet" })).await);
        let since = now(&alice).await;
        say(&alice, &room, "new").await;
        let path = format!("timeout=0&full_state=true&since={}", enc(&since));
        let came = sync_with(&alice, &path).await;
        assert_eq!(bodies(timeline(&came, &room)), ["new"]);
        for room in [&room, &quiet] {
            let state = state_after(joined(&came, room));
            for kind in ["m.room.create", "m.room.power_levels", "m.room.join_rules"] {
                assert!(state.contains_key(&(kind.to_owned(), String::new())), "{kind}: {came}");
            }
        }
        // Without it the quiet room is not named.
        let came = sync_with(&alice, &format!("full_state=false&since={}", enc(&since))).await;
        assert_eq!(rooms_in(&came, "join"), [room]);
    }

    async fn full_state_does_not_wait(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let since = now(&alice).await;
        let query = format!("timeout=60000&full_state=true&since={}", enc(&since));
        let waiting = sync_with(&alice, &query);
        let came = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.unwrap();
        assert_eq!(rooms_in(&came, "join"), [room]);
    }

    async fn after_the_timeline_on_demand(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({ "preset": "public_chat", "name": "Old" })).await;
        let after = |query: String| {
            let alice = alice.clone();
            async move { sync_with(&alice, &format!("org.matrix.msc4222.use_state_after=true&{query}")).await }
        };
        let key = "/org.matrix.msc4222.state_after/events";
        let first = after(filter(&limit(1))).await;
        let part = joined(&first, &room);
        assert!(part.get("state").is_none(), "{first}");
        assert_eq!(content(of_state(list(part, key), "m.room.name", "")), &json!({ "name": "Old" }));
        assert_eq!(keys_of(list(part, key), "m.room.member"), ["@alice:test"]);
        let since = next(&first);
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "New" })).await;
        say(&alice, &room, "hello").await;
        let came = after(format!("since={}", enc(&since))).await;
        let part = joined(&came, &room);
        assert!(part.get("state").is_none(), "{came}");
        assert_eq!(content(of_state(list(part, key), "m.room.name", "")), &json!({ "name": "New" }));
        assert_eq!(list(part, key).len(), 1);
        assert_eq!(timeline(&came, &room).len(), 2);
        // The key is there also when nothing changed, so that clients know that the server does this.
        say(&alice, &room, "more").await;
        let came = after(format!("since={}", enc(&next(&came)))).await;
        assert_eq!(joined(&came, &room).pointer(key), Some(&json!([])), "{came}");
    }

    async fn of_a_left_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "Before" })).await;
        say_many(&alice, &room, "m", 3).await;
        leave(&bob, &room).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "After" })).await;
        let came = since_filtered(&bob, &since, &limit(2)).await;
        let state = state_after(section(&came, "leave", &room));
        assert_eq!(state[&("m.room.name".to_owned(), String::new())], json!({ "name": "Before" }));
        assert_eq!(state[&("m.room.member".to_owned(), "@bob:test".to_owned())]["membership"], "leave");
    }

    async fn lazily_in_a_gap(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (carol, dan) = (server.user("carol").await, server.user("dan").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "N" })).await;
        for user in [&bob, &carol] {
            join(user, &room).await;
        }
        let since = now(&bob).await;
        kick(&alice, &room, "@carol:test").await;
        join(&dan, &room).await;
        let renamed = json!({ "membership": "join", "displayname": "Danny" });
        set_state(&dan, &room, "m.room.member", "@dan:test", renamed).await;
        say_many(&alice, &room, "m", 3).await;
        let mut lazy = limit(2);
        lazy["room"]["state"] = json!({ "lazy_load_members": true });
        for (after, key) in [("", "/state/events"), ("&use_state_after=true", "/state_after/events")] {
            let came = sync_with(&bob, &format!("since={}&{}{after}", enc(&since), filter(&lazy))).await;
            let state = list(joined(&came, &room), key);
            // Changes of members in the gap, and later senders.
            assert_eq!(keys_of(state, "m.room.member"), ["@alice:test", "@carol:test", "@dan:test"]);
            let of = |user_id| content(of_state(state, "m.room.member", user_id));
            assert_eq!(of("@carol:test")["membership"], "leave");
            assert_eq!(of("@dan:test")["displayname"], "Danny");
        }
    }

    async fn lazily_after_the_timeline(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (carol, dan) = (server.user("carol").await, server.user("dan").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "N" })).await;
        for user in [&bob, &carol, &dan] {
            join(user, &room).await;
        }
        let after = async |since: &str, most: i64| {
            let mut lazy = limit(most);
            lazy["room"]["state"] = json!({ "lazy_load_members": true });
            sync_with(&bob, &format!("use_state_after=true&since={}&{}", enc(since), filter(&lazy))).await
        };
        let own = |part: &Value| content(of_state(list(part, "/state_after/events"), "m.room.member", "@bob:test"))["membership"].clone();
        // Changes of others, by anybody.
        let since = now(&bob).await;
        kick(&alice, &room, "@carol:test").await;
        let came = after(&since, 10).await;
        let state = list(joined(&came, &room), "/state_after/events");
        assert_eq!(keys_of(state, "m.room.member"), ["@alice:test", "@carol:test"]);
        assert_eq!(content(of_state(state, "m.room.member", "@carol:test"))["membership"], "leave");
        // Of a room that is new, those who appear, and oneself.
        let first = after("", 1).await;
        let state = list(joined(&first, &room), "/state_after/events");
        assert_eq!(keys_of(state, "m.room.member"), ["@alice:test", "@bob:test", "@carol:test"]);
        // Changes of the user's own membership.
        kick(&alice, &room, "@bob:test").await;
        let came = after(&next(&came), 10).await;
        assert_eq!(own(section(&came, "leave", &room)), "leave");
        // Both within one gap, also if the timeline shows only the end of it, or nothing.
        join(&bob, &room).await;
        kick(&alice, &room, "@bob:test").await;
        for most in [10, 1, 0] {
            let came = after(&next(&came), most).await;
            assert!(rooms_in(&came, "join").is_empty(), "{came}");
            let part = section(&came, "leave", &room);
            assert_eq!(own(part), "leave", "{came}");
            assert_eq!(content(of_state(list(part, "/state_after/events"), "m.room.name", ""))["name"], "N");
        }
        // An invite that was declined, in a room without other events.
        let other = create(&alice, json!({ "name": "Other" })).await;
        invite(&alice, &other, "@bob:test").await;
        let since = now(&bob).await;
        leave(&bob, &other).await;
        let came = after(&since, 10).await;
        let part = section(&came, "leave", &other);
        assert_eq!((own(part), list(part, "/state_after/events").len()), (json!("leave"), 1), "{came}");
        // A room that was deleted.
        join(&bob, &room).await;
        let since = now(&bob).await;
        let path = format!("/_synapse/admin/v1/rooms/{}", enc(&room));
        ok(admin.send(Method::DELETE, &path, &[], "{}").await);
        let came = after(&since, 10).await;
        assert_eq!(own(section(&came, "leave", &room)), "leave", "{came}");
    }

    async fn what_changed_while_away(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let hidden = json!([{ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } }]);
        let room = create(&alice, json!({ "preset": "public_chat", "initial_state": hidden })).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        say(&alice, &room, "before").await;
        leave(&bob, &room).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "Unseen" })).await;
        // Nothing is learnt of it by being invited and declining,
        invite(&alice, &room, "@bob:test").await;
        leave(&bob, &room).await;
        for (after, key) in [("", "/state/events"), ("&use_state_after=true", "/state_after/events")] {
            for wanted in [json!({}), limit(1), json!({ "room": { "timeline": { "types": ["m.room.message"] } } })] {
                let query = format!("since={}&{}{after}", enc(&since), filter(&wanted));
                let came = sync_with(&bob, &query).await;
                let part = section(&came, "leave", &room);
                assert_eq!(content(of_state(list(part, key), "m.room.name", "")), &Value::Null, "{came}");
            }
        }
        // but by coming back.
        join(&bob, &room).await;
        let came = sync_since(&bob, &since).await;
        assert!(of_kind(timeline(&came, &room), "m.room.name").is_none(), "{came}");
        let state = state_after(joined(&came, &room));
        assert_eq!(state[&("m.room.name".to_owned(), String::new())], json!({ "name": "Unseen" }));
    }
}
