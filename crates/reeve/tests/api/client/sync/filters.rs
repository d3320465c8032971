//! Filters of sync, stored and inline.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

async fn store(client: &Client, filter: &Value) -> String {
    let body = ok(client.post(&format!("{CS}/user/{}/filter", client.user_id), filter.clone()).await);
    at(&body, "/filter_id").to_owned()
}

/// A filter of the timelines.
fn of_timeline(filter: Value) -> Value {
    json!({ "room": { "timeline": filter } })
}

/// A room in which alice and bob sent events of every kind.
async fn lively(alice: &Client, bob: &Client) -> String {
    let room = create_public(alice).await;
    join(bob, &room).await;
    say(alice, &room, "by alice").await;
    send(alice, &room, "m.sticker", json!({ "body": "s", "info": {}, "url": "mxc://test/abc" })).await;
    send(bob, &room, "org.example.one", json!({})).await;
    send(bob, &room, "org.example.two", json!({ "url": "mxc://test/def" })).await;
    say(bob, &room, "by bob").await;
    room
}

on_both_engines! {
    async fn by_id(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = lively(&alice, &bob).await;
        let wanted = json!({ "room": { "timeline": { "types": ["org.example.one"], "limit": 5 } } });
        let id = store(&alice, &wanted).await;
        let path = format!("{CS}/user/@alice:test/filter/{}", enc(&id));
        assert_eq!(alice.get(&path).await, (200, wanted.clone()));
        let came = sync_with(&alice, &format!("filter={}", enc(&id))).await;
        assert_eq!(timeline(&came, &room).len(), 1, "{came}");
        assert_eq!(timeline(&came, &room)[0]["type"], "org.example.one");
        // A filter is its owner's, and must exist.
        assert_eq!(bob.get(&path).await.status, 403);
        for unknown in ["987654", "-1", "nonsense"] {
            let status = alice.get(&format!("{CS}/sync?timeout=0&filter={unknown}")).await.status;
            assert!(status == 400 || status == 404, "{unknown}: {status}");
        }
        assert_eq!(alice.get(&format!("{CS}/sync?timeout=0&filter=%7Bbad")).await.status, 400);
    }

    async fn rooms(server: Server) {
        let alice = server.user("alice").await;
        let (one, two) = (create(&alice, json!({})).await, create(&alice, json!({})).await);
        for (wanted, expected) in [
            (json!({ "room": { "rooms": [one] } }), vec![&one]),
            (json!({ "room": { "not_rooms": [one] } }), vec![&two]),
            (json!({ "room": { "rooms": [one, two], "not_rooms": [one] } }), vec![&two]),
            (json!({ "room": { "rooms": [] } }), vec![]),
        ] {
            let came = sync_filtered(&alice, &wanted).await;
            let filled: Vec<&String> = [&one, &two].into_iter().filter(|room| !timeline(&came, room).is_empty()).collect();
            assert_eq!(filled, expected, "{wanted}");
        }
        // Only the timeline of a room can be left out.
        let came = sync_filtered(&alice, &of_timeline(json!({ "not_rooms": [one] }))).await;
        assert!(timeline(&came, &one).is_empty() && !timeline(&came, &two).is_empty(), "{came}");
        // It applies to later events, too.
        let since = now(&alice).await;
        say(&alice, &one, "m").await;
        let came = since_filtered(&alice, &since, &json!({ "room": { "not_rooms": [one] } })).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
    }

    async fn types_and_senders(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = lively(&alice, &bob).await;
        let message = "m.room.message";
        for (wanted, expected) in [
            (json!({ "types": [message] }), vec![message, message]),
            (json!({ "types": ["org.example.*"] }), vec!["org.example.one", "org.example.two"]),
            (json!({ "types": ["org.example.*", "m.sticker"], "not_types": ["*.two"] }), vec!["m.sticker", "org.example.one"]),
            (json!({ "types": [message, "m.sticker"], "senders": ["@alice:test"] }), vec![message, "m.sticker"]),
            (json!({ "types": [message, "m.sticker"], "not_senders": ["@alice:test"] }), vec![message]),
            (json!({ "types": [message], "senders": ["@alice:test"], "not_senders": ["@alice:test"] }), vec![]),
            (json!({ "types": ["m.sticker", "org.*"], "contains_url": true }), vec!["m.sticker", "org.example.two"]),
            (json!({ "types": ["m.sticker", "org.*"], "contains_url": false }), vec!["org.example.one"]),
            (json!({ "types": [] }), vec![]),
        ] {
            let came = sync_filtered(&alice, &of_timeline(wanted.clone())).await;
            let types: Vec<&str> = timeline(&came, &room).iter().map(|event| at(event, "/type")).collect();
            assert_eq!(types, expected, "{wanted}");
        }
    }

    async fn a_limit_counts_what_passes(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&alice).await;
        let said = say_many(&bob, &room, "m", 3).await;
        for _ in 0..30 {
            send(&bob, &room, "org.example.noise", json!({})).await;
        }
        let wanted = of_timeline(json!({ "types": ["m.room.message"], "limit": 2 }));
        let came = since_filtered(&alice, &since, &wanted).await;
        assert_eq!(ids(timeline(&came, &room)), said[1..]);
        assert_eq!(joined(&came, &room)["timeline"]["limited"], true);
        let wanted = of_timeline(json!({ "types": ["m.room.message"], "limit": 3 }));
        assert_eq!(ids(timeline(&since_filtered(&alice, &since, &wanted).await, &room)), said);
    }

    async fn state(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({ "name": "N", "topic": "T" })).await;
        let wanted = |state: Value| json!({ "room": { "timeline": { "limit": 1 }, "state": state } });
        say(&alice, &room, "m").await;
        for (by, expected) in [
            (json!({ "types": ["m.room.name"] }), vec!["m.room.name"]),
            (json!({ "types": [] }), vec![]),
            (json!({ "types": ["m.room.name", "m.room.topic"], "not_types": ["m.room.topic"] }), vec!["m.room.name"]),
        ] {
            let came = sync_filtered(&alice, &wanted(by)).await;
            let state = list(joined(&came, &room), "/state/events");
            assert_eq!(state.iter().map(|event| at(event, "/type")).collect::<Vec<_>>(), expected);
        }
    }

    async fn the_other_parts(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let said = say(&bob, &room, "m").await;
        receipt(&bob, &room, "m.read", &said, json!({})).await;
        typing(&bob, &room, true).await;
        set_data(&alice, "org.example.one", json!({ "a": 1 })).await;
        set_data(&alice, "org.example.two", json!({ "a": 2 })).await;
        set_room_data(&alice, &room, "org.example.one", json!({ "b": 1 })).await;
        set_room_data(&alice, &room, "org.example.two", json!({ "b": 2 })).await;
        let came = sync_filtered(&alice, &json!({
            "account_data": { "types": ["org.example.one"] },
            "room": { "account_data": { "not_types": ["org.example.one"] }, "ephemeral": { "types": ["m.typing"] } },
        })).await;
        assert_eq!(global_data(&came, "org.example.one"), &json!({ "a": 1 }));
        assert_eq!(list(&came, "/account_data/events").len(), 1, "{came}");
        assert_eq!(room_data(&came, &room, "org.example.two"), &json!({ "b": 2 }));
        assert!(room_data(&came, &room, "org.example.one").is_null(), "{came}");
        assert_eq!(ephemeral(&came, &room, "m.typing"), &json!({ "user_ids": ["@bob:test"] }));
        assert!(ephemeral(&came, &room, "m.receipt").is_null(), "{came}");
        let came = sync_filtered(&alice, &json!({ "room": { "ephemeral": { "not_types": ["*"] } } })).await;
        assert_eq!(list(joined(&came, &room), "/ephemeral/events"), [] as [Value; 0]);
        // No presence at all.
        let none = json!({ "presence": { "not_types": ["*"] } });
        assert_eq!(list(&sync_filtered(&alice, &none).await, "/presence/events"), [] as [Value; 0]);
    }

    async fn members_when_needed(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let mut others = Vec::new();
        for name in ["bob", "carol", "dan"] {
            let user = server.user(name).await;
            join(&user, &room).await;
            others.push(user);
        }
        say(&others[0], &room, "by bob").await;
        let lazy = json!({ "room": { "state": { "lazy_load_members": true }, "timeline": { "limit": 1 } } });
        // The room has a name: there are no heroes to be shown.
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "N" })).await;
        say(&others[0], &room, "by bob again").await;
        let first = sync_filtered(&alice, &lazy).await;
        let members = keys_of(list(joined(&first, &room), "/state/events"), "m.room.member");
        assert!(members.contains(&"@bob:test".to_owned()), "{members:?}");
        assert!(!members.contains(&"@carol:test".to_owned()) && !members.contains(&"@dan:test".to_owned()), "{members:?}");
        // The member event of a sender is included.
        let since = next(&first);
        say(&others[1], &room, "by carol").await;
        let came = since_filtered(&alice, &since, &lazy).await;
        let members = keys_of(list(joined(&came, &room), "/state/events"), "m.room.member");
        assert_eq!(members, ["@carol:test"]);
        // In a gap, too; and with the whole state the others are still left out.
        let since = next(&came);
        say_many(&others[1], &room, "m", 3).await;
        say(&others[2], &room, "by dan").await;
        let came = since_filtered(&alice, &since, &lazy).await;
        let members = keys_of(list(joined(&came, &room), "/state/events"), "m.room.member");
        assert!(members.contains(&"@dan:test".to_owned()) && !members.contains(&"@bob:test".to_owned()), "{members:?}");
        // Redundant members on demand.
        let all = json!({ "room": {
            "state": { "lazy_load_members": true, "include_redundant_members": true }, "timeline": { "limit": 1 },
        } });
        let since = next(&came);
        say(&others[2], &room, "by dan again").await;
        let came = since_filtered(&alice, &since, &all).await;
        let members = keys_of(list(joined(&came, &room), "/state/events"), "m.room.member");
        assert_eq!(members, ["@dan:test"]);
    }

    async fn fields(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let since = now(&alice).await;
        send(&alice, &room, "m.room.message", json!({ "msgtype": "m.text", "body": "m", "other": 1 })).await;
        let wanted = json!({ "event_fields": ["type", "content.body"] });
        let came = since_filtered(&alice, &since, &wanted).await;
        assert_eq!(timeline(&came, &room), [json!({ "type": "m.room.message", "content": { "body": "m" } })]);
    }

    async fn state_that_the_timeline_leaves_out(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        set_level(&alice, &room, "@bob:test", 100).await;
        let name = async |client: &Client, name: &str| {
            set_state(client, &room, "m.room.name", "", json!({ "name": name })).await;
        };
        let messages = json!({ "types": ["m.room.message"] });
        // The name that a client knows afterwards, the bodies that it is shown, and whether there is a gap.
        let seen = async |since: &str, timeline_filter: &Value, after: bool| {
            let query = format!("since={}&use_state_after={after}&{}", enc(since), filter(&of_timeline(timeline_filter.clone())));
            let came = sync_with(&bob, &query).await;
            let part = joined(&came, &room).clone();
            let name = if after {
                content(of_state(list(&part, "/state_after/events"), "m.room.name", ""))["name"].clone()
            } else {
                state_after(&part).get(&("m.room.name".to_owned(), String::new())).map_or(Value::Null, |name| name["name"].clone())
            };
            (name, bodies(list(&part, "/timeline/events")).join(" "), part["timeline"]["limited"].clone())
        };
        // A change alone, by each way of leaving it out.
        let since = now(&bob).await;
        name(&alice, "Alone").await;
        for wanted in [
            messages.clone(),
            json!({ "not_types": ["m.room.*"] }),
            json!({ "not_senders": ["@alice:test"] }),
            json!({ "senders": ["@bob:test"] }),
            json!({ "contains_url": true }),
            json!({ "types": [] }),
            json!({ "not_rooms": [room] }),
        ] {
            for after in [false, true] {
                assert_eq!(seen(&since, &wanted, after).await, (json!("Alone"), String::new(), json!(false)), "{wanted}");
            }
        }
        // Events of excluded rooms are not a gap.
        let since = now(&bob).await;
        say(&alice, &room, "unwanted").await;
        let came = since_filtered(&bob, &since, &of_timeline(json!({ "not_rooms": [room] }))).await;
        assert_eq!(rooms_in(&came, "join"), [] as [&str; 0], "{came}");
        // Before, between and after what the timeline shows: the last one holds.
        let since = now(&bob).await;
        name(&alice, "First").await;
        say(&alice, &room, "a").await;
        name(&alice, "Second").await;
        say(&alice, &room, "b").await;
        for last in ["Second", "Third"] {
            for after in [false, true] {
                assert_eq!(seen(&since, &messages, after).await, (json!(last), "a b".to_owned(), json!(false)));
            }
            name(&alice, "Third").await;
        }
        // In a gap.
        say_many(&alice, &room, "m", 4).await;
        let limited = json!({ "types": ["m.room.message"], "limit": 2 });
        for last in ["Third", "Fourth"] {
            for after in [false, true] {
                assert_eq!(seen(&since, &limited, after).await, (json!(last), "m2 m3".to_owned(), json!(true)));
            }
            name(&alice, "Fourth").await;
        }
        // State in the timeline is only returned there, with the state that it replaced beside it.
        let of_bob = json!({ "senders": ["@bob:test"] });
        let since = now(&bob).await;
        name(&alice, "By alice").await;
        name(&bob, "By bob").await;
        let came = since_filtered(&bob, &since, &of_timeline(of_bob.clone())).await;
        assert_eq!(content(of_state(timeline(&came, &room), "m.room.name", ""))["name"], "By bob");
        assert_eq!(content(of_state(list(joined(&came, &room), "/state/events"), "m.room.name", ""))["name"], "By alice");
        // The first time, too.
        for after in [false, true] {
            assert_eq!(seen("", &messages, after).await.0, "By bob");
        }
        // A filter of the state leaves it out altogether: then there is no news.
        let since = now(&bob).await;
        name(&alice, "Unwanted").await;
        let unwanted = |wanted: Value| json!({ "room": { "timeline": messages, "state": wanted } });
        for wanted in [json!({ "not_types": ["m.room.name"] }), json!({ "types": [] }), json!({ "not_rooms": [room] })] {
            let came = since_filtered(&bob, &since, &unwanted(wanted)).await;
            assert_eq!(rooms_in(&came, "join"), [] as [&str; 0], "{came}");
        }
    }

    async fn members_that_the_timeline_leaves_out(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "N" })).await;
        let wanted = json!({ "room": { "timeline": { "types": ["m.room.message"] }, "state": { "lazy_load_members": true } } });
        join(&bob, &room).await;
        let since = now(&bob).await;
        let carol = server.user("carol").await;
        join(&carol, &room).await;
        say(&alice, &room, "welcome").await;
        let came = since_filtered(&bob, &since, &wanted).await;
        let members = keys_of(list(joined(&came, &room), "/state/events"), "m.room.member");
        assert_eq!((members, bodies(timeline(&came, &room))), (vec!["@alice:test".to_owned(), "@carol:test".to_owned()], vec!["welcome"]));
        assert_eq!(joined(&came, &room)["summary"]["m.joined_member_count"], 3);
        // Of the whole state, only those who appear and oneself.
        let came = sync_filtered(&bob, &wanted).await;
        let members = keys_of(list(joined(&came, &room), "/state/events"), "m.room.member");
        assert_eq!(members, ["@alice:test", "@bob:test"]);
        // One's own leaving is left out of the timeline as well.
        let since = now(&bob).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "Last" })).await;
        kick(&alice, &room, "@bob:test").await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "Without him" })).await;
        let came = since_filtered(&bob, &since, &wanted).await;
        let part = section(&came, "leave", &room);
        let state = list(part, "/state/events");
        assert_eq!(list(part, "/timeline/events"), [] as [Value; 0]);
        assert_eq!(content(of_state(state, "m.room.member", "@bob:test"))["membership"], "leave");
        assert_eq!(content(of_state(state, "m.room.name", ""))["name"], "Last");
    }

    async fn state_that_the_timeline_leaves_out_wakes(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let wanted = of_timeline(json!({ "types": ["m.room.message"] }));
        let query = format!("timeout=30000&since={}&{}", enc(&now(&bob).await), filter(&wanted));
        let (polled, _) = tokio::join!(sync_with(&bob, &query), async {
            ok(bob.get(&format!("{CS}/account/whoami")).await);
            set_state(&alice, &room, "m.room.name", "", json!({ "name": "New" })).await
        });
        assert_eq!(content(of_state(list(joined(&polled, &room), "/state/events"), "m.room.name", ""))["name"], "New");
    }

    async fn not_all_of_a_long_history_is_looked_through(server: Server) {
        let alice = server.user("alice").await;
        let shelves: Vec<Value> = (0..1000)
            .map(|n| json!({ "type": "org.example.shelf", "state_key": n.to_string(), "content": {} }))
            .collect();
        let room = create(&alice, json!({ "initial_state": shelves })).await;
        let first = sync_filtered(&alice, &of_timeline(json!({ "types": ["m.room.message"] }))).await;
        let part = joined(&first, &room);
        assert_eq!(part["timeline"]["limited"], true);
        assert_eq!(keys_of(list(part, "/state/events"), "org.example.shelf").len(), 1000);
        assert_eq!(keys_of(list(part, "/state/events"), "m.room.create"), [""]);
    }
}
