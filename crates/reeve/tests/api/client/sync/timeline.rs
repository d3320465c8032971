//! Timelines: new events, gaps, and how they are closed.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

fn limit(limit: i64) -> Value {
    json!({ "room": { "timeline": { "limit": limit } } })
}

/// The ids of the events that pages backwards from a position give, in the order of the room.
async fn back_from(client: &Client, room: &str, from: &str, query: &str) -> Vec<String> {
    let (mut events, mut from) = (Vec::new(), from.to_owned());
    for _ in 0..50 {
        let page = messages(client, room, &format!("dir=b&{query}&from={}", enc(&from))).await;
        events.extend(ids(list(&page, "/chunk")).into_iter().map(str::to_owned));
        match page.get("end").and_then(Value::as_str) {
            Some(end) => end.clone_into(&mut from),
            None => break,
        }
    }
    events.reverse();
    events
}

on_both_engines! {
    async fn what_came_since(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (room, quiet) = (create_public(&alice).await, create_public(&alice).await);
        join(&bob, &room).await;
        let since = now(&alice).await;
        let nothing = sync_since(&alice, &since).await;
        assert!(rooms_in(&nothing, "join").is_empty(), "{nothing}");
        let said = say_many(&bob, &room, "m", 3).await;
        let came = sync_since(&alice, &since).await;
        assert_eq!(rooms_in(&came, "join"), [&*room], "{quiet} is quiet");
        assert_eq!(ids(timeline(&came, &room)), said);
        assert_eq!(joined(&came, &room)["timeline"]["limited"], false);
        assert_eq!(list(joined(&came, &room), "/state/events"), [] as [Value; 0]);
        // A repeated request has the same response; the next position has nothing more.
        let again = sync_since(&alice, &since).await;
        assert_eq!(ids(timeline(&again, &room)), said);
        let after = sync_since(&alice, &next(&came)).await;
        assert!(rooms_in(&after, "join").is_empty(), "{after}");
        // An old position still returns everything since.
        let later = say(&alice, &room, "later").await;
        let whole = sync_since(&alice, &since).await;
        assert_eq!(ids(timeline(&whole, &room)), [&said[..], &[later]].concat());
    }

    async fn a_gap_is_closed_exactly(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&alice).await;
        let said = say_many(&bob, &room, "m", 30).await;
        let came = since_filtered(&alice, &since, &limit(5)).await;
        assert_eq!(joined(&came, &room)["timeline"]["limited"], true);
        assert_eq!(ids(timeline(&came, &room)), said[25..]);
        let prev = at(joined(&came, &room), "/timeline/prev_batch").to_owned();
        // Backwards from the gap's end to where the sync before ended: what is missing, and nothing else.
        let missing = back_from(&alice, &room, &prev, &format!("limit=10&to={}", enc(&since))).await;
        assert_eq!(missing, said[..25]);
        // Without an end, the first page is the same.
        let page = messages(&alice, &room, &format!("dir=b&limit=10&from={}", enc(&prev))).await;
        let mut newest: Vec<&str> = ids(list(&page, "/chunk"));
        newest.reverse();
        assert_eq!(newest, said[15..25]);
        // Forwards from the old position begins with the first that is missing.
        let page = messages(&alice, &room, &format!("dir=f&limit=10&from={}", enc(&since))).await;
        assert_eq!(ids(list(&page, "/chunk")), said[..10]);
    }

    async fn a_timeline_that_just_fits_is_no_gap(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let since = now(&alice).await;
        let said = say_many(&alice, &room, "m", 5).await;
        let fits = since_filtered(&alice, &since, &limit(5)).await;
        assert_eq!((ids(timeline(&fits, &room)), &joined(&fits, &room)["timeline"]["limited"]), (
            said.iter().map(String::as_str).collect(), &json!(false),
        ));
        let short = since_filtered(&alice, &since, &limit(4)).await;
        assert_eq!(ids(timeline(&short, &room)), said[1..]);
        assert_eq!(joined(&short, &room)["timeline"]["limited"], true);
    }

    async fn a_first_timeline_goes_back_to_the_beginning(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        say_many(&alice, &room, "m", 12).await;
        let whole = sync_filtered(&alice, &limit(100)).await;
        let short = sync_filtered(&alice, &limit(3)).await;
        let prev = at(joined(&short, &room), "/timeline/prev_batch").to_owned();
        let mut pages = back_from(&alice, &room, &prev, "limit=4").await;
        pages.extend(ids(timeline(&short, &room)).into_iter().map(str::to_owned));
        assert_eq!(pages, ids(timeline(&whole, &room)));
    }

    async fn positions_outlive_a_restart(server: Server) {
        let mut server = server;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&alice).await;
        let before = say(&bob, &room, "before").await;
        server.restart(|_| {}).await;
        let (alice, bob) = (
            server.with_token(alice.token.as_deref().unwrap()), server.with_token(bob.token.as_deref().unwrap()),
        );
        let came = sync_since(&alice, &since).await;
        assert_eq!(ids(timeline(&came, &room)), [before]);
        let after = say(&bob, &room, "after").await;
        let came = sync_since(&alice, &next(&came)).await;
        assert_eq!(ids(timeline(&came, &room)), [after]);
    }

    async fn a_position_is_where_messages_begin(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let said = say_many(&alice, &room, "m", 3).await;
        let position = now(&alice).await;
        say(&alice, &room, "later").await;
        let page = messages(&alice, &room, &format!("dir=b&limit=2&from={}", enc(&position))).await;
        assert_eq!(ids(list(&page, "/chunk")), [&said[2], &said[1]]);
        let page = messages(&alice, &room, &format!("dir=f&from={}", enc(&position))).await;
        assert_eq!(bodies(list(&page, "/chunk")), ["later"]);
    }

    async fn a_redacted_message_comes_redacted(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&alice).await;
        let wrong = say(&bob, &room, "wrong").await;
        let between = next(&sync_since(&alice, &since).await);
        let redaction = redact(&bob, &room, &wrong).await;
        // Clients that have the message learn of the redaction from its event.
        let came = sync_since(&alice, &between).await;
        assert_eq!(ids(timeline(&came, &room)), [&*redaction]);
        let told = &timeline(&came, &room)[0];
        let redacts = told["redacts"].as_str().or_else(|| told["content"]["redacts"].as_str());
        assert_eq!(redacts, Some(&*wrong), "{told}");
        // Others never see it.
        let came = sync_since(&alice, &since).await;
        let shown = &timeline(&came, &room)[0];
        assert_eq!((at(shown, "/event_id"), &shown["content"]), (&*wrong, &json!({})));
        assert_eq!(at(shown, "/unsigned/redacted_because/event_id"), redaction);
    }

    async fn many_rooms_at_once(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let mut rooms = Vec::new();
        for _ in 0..6 {
            let room = create_public(&alice).await;
            join(&bob, &room).await;
            rooms.push(room);
        }
        let since = now(&alice).await;
        let mut said = Vec::new();
        for round in 0..3 {
            for room in &rooms {
                said.push((room.clone(), say(&bob, room, &format!("m{round}")).await));
            }
        }
        let came = sync_since(&alice, &since).await;
        for room in &rooms {
            let expected: Vec<&str> = said.iter().filter(|(of, _)| of == room).map(|(_, id)| &**id).collect();
            assert_eq!(ids(timeline(&came, room)), expected);
        }
    }

    async fn nothing_is_lost_between_polls(server: Server) {
        // One user polls while two others send: each message arrives once, in the order of the room.
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        join(&carol, &room).await;
        let mut since = now(&alice).await;
        let polls = async {
            let mut seen = Vec::new();
            for _ in 0..100 {
                let came = sync_with(&alice, &format!("timeout=5000&since={}&{}", enc(&since), filter(&limit(100)))).await;
                seen.extend(ids(timeline(&came, &room)).into_iter().map(str::to_owned));
                since = next(&came);
                if seen.len() >= 40 {
                    break;
                }
            }
            seen
        };
        let (seen, of_bob, of_carol) =
            tokio::join!(polls, say_many(&bob, &room, "b", 20), say_many(&carol, &room, "c", 20));
        assert_eq!(seen.len(), 40);
        for said in [of_bob, of_carol] {
            let order: Vec<&String> = seen.iter().filter(|id| said.contains(id)).collect();
            assert_eq!(order, said.iter().collect::<Vec<_>>());
        }
        let (all, _) = all_messages(&alice, &room, "dir=f&limit=100").await;
        let all = ids(&all);
        assert_eq!(&all[all.len() - 40..], seen);
    }
}
