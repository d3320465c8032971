//! Initial syncs.

use reeve_testkit::{START_MS, on_both_engines};
use serde_json::json;

use crate::rooms_kit::*;
use crate::sync_kit::*;

on_both_engines! {
    async fn of_somebody_in_no_room(server: Server) {
        let alice = server.user("alice").await;
        let first = sync(&alice).await;
        next(&first);
        for part in ["join", "invite", "knock", "leave"] {
            assert!(rooms_in(&first, part).is_empty(), "{first}");
        }
        // Clients read their push rules from here, and count their keys.
        assert!(global_data(&first, "m.push_rules")["global"]["underride"].is_array(), "{first}");
        assert!(first["device_one_time_keys_count"].is_object(), "{first}");
        assert!(first["device_unused_fallback_key_types"].is_array(), "{first}");
        for (slot, list) in [("device_lists", "changed"), ("device_lists", "left"), ("to_device", "events")] {
            assert!(first[slot].is_null() || first[slot][list].is_null() || first[slot][list].is_array(), "{first}");
        }
    }

    async fn has_rooms_with_all_that_is_in_them(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "Garden", "topic": "Plants" })).await;
        join(&bob, &room).await;
        let said = say_many(&bob, &room, "m", 2).await;
        let first = sync_filtered(&alice, &json!({ "room": { "timeline": { "limit": 50 } } })).await;
        assert_eq!(rooms_in(&first, "join"), [&*room]);
        let joined = joined(&first, &room);
        assert_eq!(joined["timeline"]["limited"], false);
        assert!(!at(joined, "/timeline/prev_batch").is_empty());
        assert_eq!(list(joined, "/state/events"), [] as [serde_json::Value; 0]);
        let events = timeline(&first, &room);
        assert_eq!(events[0]["type"], "m.room.create");
        assert_eq!(events[1]["type"], "m.room.member");
        assert_eq!(&ids(events)[events.len() - 2..], [&said[0], &said[1]]);
        let last = &events[events.len() - 1];
        assert_eq!(
            (at(last, "/type"), at(last, "/sender"), &last["content"]),
            ("m.room.message", "@bob:test", &json!({ "msgtype": "m.text", "body": "m1" })),
        );
        assert!(last.get("state_key").is_none(), "{last}");
        assert!(last.get("room_id").is_none(), "the room is the key already: {last}");
        assert!(last["origin_server_ts"].as_i64().unwrap() >= START_MS);
    }

    async fn has_the_state_before_a_short_timeline(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "Old" })).await;
        join(&bob, &room).await;
        say(&alice, &room, "before").await;
        say(&alice, &room, "old").await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "New" })).await;
        say(&alice, &room, "new").await;
        let whole = sync_filtered(&alice, &json!({ "room": { "timeline": { "limit": 50 } } })).await;
        let short = sync_filtered(&alice, &json!({ "room": { "timeline": { "limit": 3 } } })).await;
        let part = joined(&short, &room);
        assert_eq!(part["timeline"]["limited"], true);
        assert_eq!(timeline(&short, &room).len(), 3);
        assert_eq!(bodies(timeline(&short, &room)), ["old", "new"]);
        // The state is that before the timeline; with the timeline it is the present one.
        let before = list(part, "/state/events");
        assert_eq!(of_state(before, "m.room.name", "").unwrap()["content"], json!({ "name": "Old" }));
        assert_eq!(keys_of(before, "m.room.member"), ["@alice:test", "@bob:test"]);
        assert_eq!(state_after(part), state_after(joined(&whole, &room)));
    }

    async fn has_every_room_and_nobody_elses(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let mut rooms = vec![create_public(&alice).await, create(&alice, json!({})).await, create(&alice, json!({})).await];
        create_public(&bob).await;
        rooms.sort();
        let first = sync(&alice).await;
        assert_eq!(rooms_in(&first, "join"), rooms);
        for room in &rooms {
            let create = ("m.room.create".to_owned(), String::new());
            assert!(state_after(joined(&first, room)).contains_key(&create), "{first}");
        }
    }

    async fn has_a_summary(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({ "preset": "public_chat" })).await;
        for name in ["bob", "carol"] {
            let user = server.user(name).await;
            join(&user, &room).await;
        }
        server.create("dan", false).await;
        invite(&alice, &room, "@dan:test").await;
        let lazy = json!({ "room": { "state": { "lazy_load_members": true } } });
        let first = sync_filtered(&alice, &lazy).await;
        let summary = &joined(&first, &room)["summary"];
        let mut heroes: Vec<&str> = list(summary, "/m.heroes").iter().map(|id| id.as_str().unwrap()).collect();
        heroes.sort_unstable();
        assert_eq!(heroes, ["@bob:test", "@carol:test", "@dan:test"]);
        assert_eq!((&summary["m.joined_member_count"], &summary["m.invited_member_count"]), (&json!(3), &json!(1)));
        // The names of the heroes are included.
        let members = keys_of(list(joined(&first, &room), "/state/events"), "m.room.member");
        let shown = keys_of(timeline(&first, &room), "m.room.member");
        for hero in heroes {
            assert!(members.iter().chain(&shown).any(|id| id == hero), "{hero}: {first}");
        }
        // It changes with the members.
        let since = next(&first);
        let eve = server.user("eve").await;
        join(&eve, &room).await;
        let more = since_filtered(&alice, &since, &lazy).await;
        assert_eq!(joined(&more, &room)["summary"]["m.joined_member_count"], 4, "{more}");
    }

    async fn names_at_most_five_heroes(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({ "preset": "public_chat" })).await;
        for name in ["b", "c", "d", "e", "f", "g"] {
            let user = server.user(name).await;
            join(&user, &room).await;
        }
        let lazy = json!({ "room": { "state": { "lazy_load_members": true } } });
        let summary = joined(&sync_filtered(&alice, &lazy).await, &room)["summary"].clone();
        let heroes = list(&summary, "/m.heroes");
        assert_eq!(heroes.len(), 5, "{summary}");
        assert!(!heroes.contains(&json!("@alice:test")), "{summary}");
        assert_eq!(summary["m.joined_member_count"], 7);
    }

    async fn does_not_wait(server: Server) {
        let alice = server.user("alice").await;
        let waiting = sync_with(&alice, "timeout=60000");
        let first = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.unwrap();
        next(&first);
    }
}
