//! The rules of rooms: the acts that the server allows, the state before and after them, and the visibility of
//! the history.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use reeve_testkit::{Client, Server, on_both_engines};
use serde_json::{Value, json};

use super::deeds::{Deed, Outcome, PEOPLE, Place, deed};
use super::for_all;
use super::model::{Draft, Fact, History, by_key, ids};
use crate::rooms_kit::*;

const VERSIONS: [&str; 7] = ["6", "7", "8", "9", "10", "11", "12"];
/// Members of the other room.
const IN_CLUB: [usize; 2] = [1, 2];

async fn people(server: &Server) -> Vec<Client> {
    let mut people = Vec::new();
    for number in 0..=PEOPLE {
        people.push(server.user(&format!("person{number}")).await);
    }
    people
}

async fn make_club(people: &[Client]) -> String {
    let club = create_public(&people[1]).await;
    join(&people[2], &club).await;
    club
}

/// Runs acts in a new room, and compares each with the model.
async fn play(people: &[Client], club: &str, version: &str, deeds: &[Deed]) -> History {
    let user_ids: Vec<String> = people.iter().map(|client| client.user_id.clone()).collect();
    let room_id = create_version(&people[0], version).await;
    let witness = &people[PEOPLE];
    join(witness, &room_id).await;
    let mut room = History::new(witness, room_id, version).await;
    for deed in deeds {
        let place = Place { room: &room, people: &user_ids, club, in_club: &IN_CLUB };
        let request = place.request(deed);
        let who = &people[request.who];
        let reply = who.send(request.method, &request.path, &[], request.body.to_string()).await;
        let told = format!("version {version}, {deed:?}: {} {}", reply.status, reply.body);
        let event_id = reply.text("event_id").to_owned();
        let mut drafts = Vec::new();
        match request.outcome {
            Outcome::No => assert!(matches!(reply.status, 400 | 403), "it is not allowed: {told}"),
            outcome => {
                assert_eq!(reply.status, 200, "it is allowed: {told}");
                match outcome {
                    Outcome::Redaction(draft, target) => {
                        room.redact(&target);
                        drafts.push(draft);
                    }
                    Outcome::One(all) => drafts = all,
                    _ => {}
                }
            }
        }
        if let Some(draft) = drafts.first().filter(|draft| draft.state_key.is_none()) {
            room.push(happened(draft, &event_id));
            drafts.clear();
        }
        compare(&mut room, witness, &drafts, &event_id, &told).await;
    }
    room
}

fn happened(draft: &Draft, event_id: &str) -> Fact {
    Fact {
        event_id: event_id.to_owned(),
        kind: draft.kind.to_owned(),
        state_key: draft.state_key.clone(),
        sender: draft.sender.clone(),
        content: draft.content.clone(),
    }
}

/// Compares the state of a room with the model, into which one of some events goes before, if there are any.
async fn compare(room: &mut History, reader: &Client, drafts: &[Draft], event_id: &str, told: &str) {
    let stored = room.stored_state(reader).await;
    if let Some(draft) = drafts.first() {
        let key = (draft.kind.to_owned(), draft.state_key.clone().unwrap());
        let event = stored.get(&key).unwrap_or_else(|| panic!("it did not happen: {told}")).clone();
        if !event_id.is_empty() {
            assert_eq!(event.event_id, event_id, "{told}");
        }
        assert!(room.events.iter().all(|old| old.event_id != event.event_id), "nothing happened: {told}");
        let foretold = drafts.iter().any(|draft| happened(draft, &event.event_id) == event);
        assert!(foretold, "{event:?} instead of {drafts:?}: {told}");
        room.push(event);
    }
    assert_eq!(stored, room.state, "{told}");
}

/// Compares the state at each place of a room's history with the model.
async fn look_back(room: &History, reader: &Client) {
    let (events, _) = all_messages(reader, &room.room_id, "dir=f&limit=7").await;
    let events: Vec<Fact> = events.iter().map(Fact::of).collect();
    assert_eq!(events, room.events, "the history");
    let by_id: BTreeMap<&str, &Fact> = events.iter().map(|event| (event.event_id.as_str(), event)).collect();
    let states = room.states();
    assert_eq!(states.last(), Some(&ids(&room.state)));
    let (mut from, mut before) = (String::new(), None);
    for (event, state) in events.iter().zip(&states) {
        let path = room_path(&room.room_id, &format!("context/{}?limit=0", enc(&event.event_id)));
        let context = ok(reader.get(&path).await);
        let seen = by_key(list(&context, "/state"));
        assert_eq!(ids(&seen), *state, "the state after {event:?}");
        for event in seen.values() {
            assert_eq!(event, by_id[event.event_id.as_str()]);
        }
        let page = messages(reader, &room.room_id, &format!("dir=f&limit=1{from}")).await;
        assert_eq!(ids_of(list(&page, "/chunk")), [event.event_id.as_str()]);
        from = format!("&from={}", enc(at(&page, "/end")));
        for (at, state) in [(at(&context, "/start"), before), (at(&page, "/end"), Some(state))] {
            let path = room_path(&room.room_id, &format!("members?at={}", enc(at)));
            let members = ids(&by_key(list(&ok(reader.get(&path).await), "/chunk")));
            let mut expected = state.cloned().unwrap_or_default();
            expected.retain(|(kind, _), _| kind == "m.room.member");
            assert_eq!(members, expected, "the members near {event:?}");
        }
        before = Some(state);
    }
}

/// Compares what each one sees of a room's history with the model.
async fn look_around(room: &History, people: &[Client]) {
    let (joined, readable) = (room.joined(), room.visibility() == "world_readable");
    for client in people {
        let mut expected = room.seen_by(&client.user_id);
        if room.was_joined(&client.user_id) || readable {
            let (events, _) = all_messages(client, &room.room_id, "dir=f&limit=7").await;
            assert_eq!(ids_of(&events), expected, "what {} sees", client.user_id);
            let (events, _) = all_messages(client, &room.room_id, "dir=b&limit=9").await;
            expected.reverse();
            assert_eq!(ids_of(&events), expected, "what {} sees, backwards", client.user_id);
            expected.reverse();
        } else {
            let reply = client.get(&room_path(&room.room_id, "messages?dir=f")).await;
            assert_eq!(code(&reply), (403, "M_FORBIDDEN"), "what {} sees", client.user_id);
        }
        for event in &room.events {
            let reply = try_event(client, &room.room_id, &event.event_id).await;
            let right = if expected.contains(&event.event_id.as_str()) { 200 } else { 404 };
            assert_eq!(reply.status, right, "{event:?} for {}", client.user_id);
        }
        if joined.contains(&client.user_id) {
            let all = json!({ "room": { "timeline": { "limit": 500 } } });
            let sync = sync_with(client, &filter(&all)).await;
            assert_eq!(ids_of(timeline(&sync, &room.room_id)), expected, "the sync of {}", client.user_id);
        }
    }
}

fn ids_of(events: &[Value]) -> Vec<&str> {
    crate::rooms_kit::ids(events)
}

/// The membership in lists and counts.
async fn count(room: &History, people: &[Client]) {
    let joined = room.joined();
    for client in people {
        let is_in = joined.contains(&client.user_id);
        assert_eq!(joined_rooms(client).await.contains(&room.room_id), is_in, "{}", client.user_id);
        let reply = client.get(&room_path(&room.room_id, "joined_members")).await;
        if is_in {
            let members: BTreeSet<&String> = reply.body["joined"].as_object().unwrap().keys().collect();
            assert_eq!(members, joined.iter().collect());
            let sync = sync(client).await;
            assert_eq!(
                self::joined(&sync, &room.room_id)["summary"]["m.joined_member_count"],
                json!(joined.len())
            );
        } else {
            assert_eq!(reply.status, 403, "{}", reply.body);
        }
    }
}

on_both_engines! {
    async fn what_is_allowed_and_what_comes_of_it(server: Server) {
        let people = people(&server).await;
        let club = make_club(&people).await;
        for version in VERSIONS {
            for_all(2, &vec(deed(), 10..40), async |deeds| {
                let room = play(&people, &club, version, &deeds).await;
                count(&room, &people).await;
            });
        }
    }

    async fn the_state_at_any_time(server: Server) {
        let people = people(&server).await;
        let club = make_club(&people).await;
        let case = (proptest::sample::select(VERSIONS.to_vec()), vec(deed(), 10..40));
        for_all(3, &case, async |(version, deeds)| {
            let room = play(&people, &club, version, &deeds).await;
            look_back(&room, &people[PEOPLE]).await;
        });
    }

    async fn what_each_one_sees(server: Server) {
        let people = people(&server).await;
        let club = make_club(&people).await;
        let case = (proptest::sample::select(VERSIONS.to_vec()), vec(deed(), 10..40));
        for_all(4, &case, async |(version, deeds)| {
            let room = play(&people, &club, version, &deeds).await;
            look_around(&room, &people).await;
        });
    }
}
