//! Rooms that a user is invited to, knocks at, joins, leaves, or is removed from.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

/// The membership of a user in a list of stripped events.
fn stripped_membership<'a>(events: &'a [Value], user_id: &str) -> &'a str {
    of_state(events, "m.room.member", user_id).map_or("", |event| at(event, "/content/membership"))
}

/// The membership of a user in the timeline of a left room.
fn left_as<'a>(sync: &'a Value, room: &str, user_id: &str) -> &'a str {
    let part = section(sync, "leave", room);
    let (timeline, state) = (list(part, "/timeline/events"), list(part, "/state/events"));
    let own = |event: &&Value| event["type"] == "m.room.member" && event["state_key"] == user_id;
    let member = state.iter().chain(timeline).rfind(own);
    member.map_or("", |event| at(event, "/content/membership"))
}

/// Makes a room at which people knock.
async fn create_with_door(client: &Client) -> String {
    create(client, json!({
        "name": "Door",
        "initial_state": [{ "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } }],
    })).await
}

fn with_left() -> Value {
    json!({ "room": { "include_leave": true } })
}

on_both_engines! {
    async fn an_invitation(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "private_chat", "name": "Secret" })).await;
        say(&alice, &room, "not for bob").await;
        let since = now(&bob).await;
        invite(&alice, &room, "@bob:test").await;
        let came = sync_since(&bob, &since).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
        let stripped = list(section(&came, "invite", &room), "/invite_state/events");
        let own = of_state(stripped, "m.room.member", "@bob:test").unwrap();
        assert_eq!((at(own, "/sender"), at(own, "/content/membership")), ("@alice:test", "invite"));
        only_own_is_whole(stripped, "@bob:test");
        assert_eq!(of_state(stripped, "m.room.name", "").unwrap()["content"], json!({ "name": "Secret" }));
        assert_eq!(of_state(stripped, "m.room.join_rules", "").unwrap()["content"]["join_rule"], "invite");
        assert!(of_state(stripped, "m.room.create", "").is_some(), "{came}");
        for event in stripped {
            assert!(event["sender"].is_string() && event["state_key"].is_string() && event["content"].is_object(), "{event}");
            assert_ne!(event["type"], "m.room.message");
        }
        // Once, but a first sync always has it.
        let after = sync_since(&bob, &next(&came)).await;
        assert!(rooms_in(&after, "invite").is_empty(), "{after}");
        let first = sync(&bob).await;
        let stripped = list(section(&first, "invite", &room), "/invite_state/events");
        assert_eq!(stripped_membership(stripped, "@bob:test"), "invite");
    }

    async fn an_invitation_accepted(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "private_chat", "name": "Ours", "invite": ["@bob:test"] })).await;
        let since = now(&bob).await;
        join(&bob, &room).await;
        let came = since_filtered(&bob, &since, &json!({ "room": { "timeline": { "limit": 1 } } })).await;
        assert!(rooms_in(&came, "invite").is_empty(), "{came}");
        // The whole state is returned, though it is older than the position.
        let state = state_after(joined(&came, &room));
        let of = |kind: &str, key: &str| state.get(&(kind.to_owned(), key.to_owned())).cloned().unwrap_or_default();
        assert_eq!(of("m.room.name", ""), json!({ "name": "Ours" }));
        assert_eq!(of("m.room.member", "@alice:test")["membership"], "join");
        assert_eq!(of("m.room.member", "@bob:test")["membership"], "join");
        assert!(of("m.room.create", "").is_object() && of("m.room.power_levels", "").is_object());
    }

    async fn an_invitation_declined_or_taken_back(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (declined, withdrawn) = (create(&alice, json!({})).await, create(&alice, json!({})).await);
        invite(&alice, &declined, "@bob:test").await;
        invite(&alice, &withdrawn, "@bob:test").await;
        let since = now(&bob).await;
        leave(&bob, &declined).await;
        kick(&alice, &withdrawn, "@bob:test").await;
        let came = sync_since(&bob, &since).await;
        assert!(rooms_in(&came, "invite").is_empty() && rooms_in(&came, "join").is_empty(), "{came}");
        let mut both = vec![declined.clone(), withdrawn];
        both.sort();
        assert_eq!(rooms_in(&came, "leave"), both);
        let after = sync_since(&bob, &next(&came)).await;
        assert!(rooms_in(&after, "leave").is_empty(), "{after}");
        let first = sync(&bob).await;
        assert!(rooms_in(&first, "invite").is_empty() && !rooms_in(&first, "leave").contains(&declined), "{first}");
    }

    async fn a_knock(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_with_door(&alice).await;
        let (since, host) = (now(&bob).await, now(&alice).await);
        ok(bob.post(&format!("{CS}/knock/{}", enc(&room)), json!({ "reason": "Hello" })).await);
        let came = sync_since(&bob, &since).await;
        let stripped = list(section(&came, "knock", &room), "/knock_state/events");
        assert_eq!(stripped_membership(stripped, "@bob:test"), "knock");
        only_own_is_whole(stripped, "@bob:test");
        assert_eq!(of_state(stripped, "m.room.name", "").unwrap()["content"], json!({ "name": "Door" }));
        let first = sync(&bob).await;
        assert_eq!(rooms_in(&first, "knock"), [&*room]);
        // Members see it in the room.
        let seen = sync_since(&alice, &host).await;
        let member = of_state(timeline(&seen, &room), "m.room.member", "@bob:test").unwrap();
        assert_eq!((at(member, "/content/membership"), at(member, "/content/reason")), ("knock", "Hello"));
        // Accepted, or withdrawn.
        invite(&alice, &room, "@bob:test").await;
        let invited = sync_since(&bob, &next(&came)).await;
        assert_eq!((rooms_in(&invited, "invite"), rooms_in(&invited, "knock")), (vec![room.clone()], vec![]));
        let other = create_with_door(&alice).await;
        ok(bob.post(&format!("{CS}/knock/{}", enc(&other)), json!({})).await);
        let knocked = sync_since(&bob, &next(&invited)).await;
        assert_eq!(rooms_in(&knocked, "knock"), [&*other]);
        leave(&bob, &other).await;
        let gone = sync_since(&bob, &next(&knocked)).await;
        assert_eq!((rooms_in(&gone, "leave"), rooms_in(&gone, "knock")), (vec![other], vec![]));
    }

    async fn leaving(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        say(&alice, &room, "farewell").await;
        leave(&bob, &room).await;
        say(&alice, &room, "he is gone").await;
        let came = sync_since(&bob, &since).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
        // Up to the leaving, and not further.
        let events = list(section(&came, "leave", &room), "/timeline/events");
        assert_eq!(bodies(events), ["farewell"]);
        assert_eq!(left_as(&came, &room, "@bob:test"), "leave");
        // Once.
        let after = sync_since(&bob, &next(&came)).await;
        assert!(rooms_in(&after, "leave").is_empty(), "{after}");
        let first = sync(&bob).await;
        assert!(rooms_in(&first, "leave").is_empty() && rooms_in(&first, "join").is_empty(), "{first}");
    }

    async fn thrown_out(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (kicked, banned) = (create_public(&alice).await, create_public(&alice).await);
        join(&bob, &kicked).await;
        join(&bob, &banned).await;
        let since = now(&bob).await;
        ok(alice.post(&room_path(&kicked, "kick"), json!({ "user_id": "@bob:test", "reason": "Noise" })).await);
        ban(&alice, &banned, "@bob:test").await;
        say(&alice, &kicked, "quiet now").await;
        let came = sync_since(&bob, &since).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
        assert_eq!(left_as(&came, &kicked, "@bob:test"), "leave");
        assert_eq!(left_as(&came, &banned, "@bob:test"), "ban");
        let events = list(section(&came, "leave", &kicked), "/timeline/events");
        let own = of_state(events, "m.room.member", "@bob:test").unwrap();
        assert_eq!((at(own, "/sender"), at(own, "/content/reason")), ("@alice:test", "Noise"));
        assert!(bodies(events).is_empty(), "{came}");
        assert!(rooms_in(&sync_since(&bob, &next(&came)).await, "leave").is_empty());
        // A ban that is lifted does not bring the room back.
        unban(&alice, &banned, "@bob:test").await;
        let after = sync_since(&bob, &next(&came)).await;
        assert!(rooms_in(&after, "join").is_empty() && rooms_in(&after, "invite").is_empty(), "{after}");
    }

    async fn left_rooms_on_demand(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (left, banned, forgotten) =
            (create_public(&alice).await, create_public(&alice).await, create_public(&alice).await);
        for room in [&left, &banned, &forgotten] {
            join(&bob, room).await;
        }
        say(&alice, &left, "last words").await;
        leave(&bob, &left).await;
        say(&alice, &left, "unheard").await;
        ban(&alice, &banned, "@bob:test").await;
        leave(&bob, &forgotten).await;
        forget(&bob, &forgotten).await;
        let first = sync_filtered(&bob, &with_left()).await;
        let mut expected = vec![left.clone(), banned.clone()];
        expected.sort();
        assert_eq!(rooms_in(&first, "leave"), expected);
        let events = list(section(&first, "leave", &left), "/timeline/events");
        assert_eq!(bodies(events), ["last words"]);
        assert_eq!((left_as(&first, &left, "@bob:test"), left_as(&first, &banned, "@bob:test")), ("leave", "ban"));
    }

    async fn coming_back(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        leave(&bob, &room).await;
        let away = now(&bob).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "Renamed" })).await;
        say(&alice, &room, "while away").await;
        let none = sync_since(&bob, &away).await;
        assert!(rooms_in(&none, "join").is_empty() && rooms_in(&none, "leave").is_empty(), "{none}");
        join(&bob, &room).await;
        let came = sync_since(&bob, &next(&none)).await;
        assert_eq!(rooms_in(&came, "join"), [&*room]);
        let state = state_after(joined(&came, &room));
        assert_eq!(state[&("m.room.name".to_owned(), String::new())], json!({ "name": "Renamed" }));
        assert!(state.contains_key(&("m.room.create".to_owned(), String::new())), "{came}");
        let own = of_state(timeline(&came, &room), "m.room.member", "@bob:test").unwrap();
        assert_eq!(at(own, "/content/membership"), "join");
        // Later syncs are as usual.
        say(&alice, &room, "welcome").await;
        assert_eq!(bodies(timeline(&sync_since(&bob, &next(&came)).await, &room)), ["welcome"]);
    }

    async fn away_and_back_between_two_syncs(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        leave(&bob, &room).await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "New" })).await;
        join(&bob, &room).await;
        say(&alice, &room, "again").await;
        let came = sync_since(&bob, &since).await;
        assert_eq!((rooms_in(&came, "join"), rooms_in(&came, "leave")), (vec![room.clone()], vec![]));
        let state = state_after(joined(&came, &room));
        let topic = &state[&("m.room.topic".to_owned(), String::new())];
        assert_eq!(topic["topic"], "New");
        assert_eq!(state[&("m.room.member".to_owned(), "@bob:test".to_owned())]["membership"], "join");
        assert_eq!(bodies(timeline(&came, &room)), ["again"]);
    }

    async fn there_and_gone_between_two_syncs(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        say(&alice, &room, "before").await;
        let since = now(&bob).await;
        join(&bob, &room).await;
        say(&alice, &room, "hello").await;
        leave(&bob, &room).await;
        say(&alice, &room, "after").await;
        let came = sync_since(&bob, &since).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
        assert_eq!(left_as(&came, &room, "@bob:test"), "leave");
        let heard = bodies(list(section(&came, "leave", &room), "/timeline/events"));
        assert!(heard.contains(&"hello") && !heard.contains(&"after"), "{heard:?}");
    }

    async fn a_room_made_since(server: Server) {
        let alice = server.user("alice").await;
        let since = now(&alice).await;
        let room = create(&alice, json!({ "name": "New", "preset": "public_chat" })).await;
        say(&alice, &room, "first").await;
        let came = sync_since(&alice, &since).await;
        let events = timeline(&came, &room);
        assert_eq!((events[0]["type"].as_str(), bodies(events)), (Some("m.room.create"), vec!["first"]));
        assert_eq!(list(joined(&came, &room), "/state/events"), [] as [Value; 0]);
    }

    async fn history_from_before_the_joining_stays_hidden(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let visibility = json!({ "history_visibility": "joined" });
        let room = create(&alice, json!({
            "preset": "public_chat",
            "initial_state": [{ "type": "m.room.history_visibility", "state_key": "", "content": visibility }],
        })).await;
        say(&alice, &room, "hidden").await;
        let since = now(&bob).await;
        join(&bob, &room).await;
        say(&alice, &room, "shown").await;
        for came in [sync_since(&bob, &since).await, sync(&bob).await] {
            assert_eq!(bodies(timeline(&came, &room)), ["shown"]);
            let prev = at(joined(&came, &room), "/timeline/prev_batch").to_owned();
            let (before, _) = all_messages(&bob, &room, "dir=b").await;
            assert!(!bodies(&before).contains(&"hidden"), "{prev}");
        }
    }

    async fn other_members_come_and_go(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        let mut since = now(&alice).await;
        join(&bob, &room).await;
        for (deed, membership) in [("leave", "leave"), ("join", "join"), ("ban", "ban"), ("unban", "leave")] {
            since = next(&sync_since(&alice, &since).await);
            match deed {
                "leave" => leave(&bob, &room).await,
                "join" => join(&bob, &room).await,
                "ban" => ban(&alice, &room, "@bob:test").await,
                _ => unban(&alice, &room, "@bob:test").await,
            }
            let came = sync_since(&alice, &since).await;
            let member = of_state(timeline(&came, &room), "m.room.member", "@bob:test").unwrap();
            assert_eq!(at(member, "/content/membership"), membership, "{deed}");
        }
    }
}
