//! Concurrent writers in several rooms, and one client that synchronises: every event arrives once, and in
//! order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use reeve_testkit::{Client, on_both_engines, tokio};
use serde_json::{Value, json};

use super::for_all;
use super::model::{Fact, StateIds, by_key, ids};
use crate::rooms_kit::*;

const ROOMS: usize = 3;
const SENDERS: usize = 3;
const NOTE: &str = "org.example.note";

/// An act of a sender in one of the rooms.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Say,
    /// Sets state under a key.
    Note(u8),
    React,
    /// Redacts the last message.
    Redact,
    Read,
    Type,
}

/// The way in which the client synchronises once.
#[derive(Clone, Copy, Debug)]
struct Look {
    timeout: u32,
    limit: u32,
    /// The size of the pages by which gaps are closed.
    page: u32,
    /// True if these pages stop at the client's position.
    says_to: bool,
    /// True if members who do not appear are left out.
    lazy: bool,
}

#[derive(Clone, Debug)]
struct Case {
    deeds: Vec<Vec<(usize, Deed)>>,
    looks: Vec<Look>,
    /// When the client joins the last of the rooms, counted in syncs.
    joins_after: usize,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => Just(Deed::Say),
        3 => (0..3_u8).prop_map(Deed::Note),
        1 => Just(Deed::React),
        1 => Just(Deed::Redact),
        1 => Just(Deed::Read),
        1 => Just(Deed::Type),
    ]
}

fn look() -> impl Strategy<Value = Look> {
    let timeout = prop_oneof![3 => Just(0), 2 => 1..30_u32, 1 => Just(300)];
    (timeout, 1..6_u32, 1..8_u32, any::<bool>(), prop::bool::weighted(0.2))
        .prop_map(|(timeout, limit, page, says_to, lazy)| Look { timeout, limit, page, says_to, lazy })
}

fn case() -> impl Strategy<Value = Case> {
    let deeds = vec(vec((0..ROOMS, deed()), 5..30), SENDERS);
    (deeds, vec(look(), 1..20), 0..12_usize).prop_map(|(deeds, looks, joins_after)| Case {
        deeds,
        looks,
        joins_after,
    })
}

/// The client's knowledge of a room.
#[derive(Default)]
struct Known {
    events: Vec<String>,
    state: StateIds,
}

/// Runs its acts one after the other, and returns the ids of the events of each room.
async fn write(
    client: Client,
    rooms: Vec<String>,
    deeds: Vec<(usize, Deed)>,
) -> BTreeMap<String, Vec<String>> {
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for (number, (room, deed)) in deeds.into_iter().enumerate() {
        let room = &rooms[room];
        let id = match (deed, last.get(room)) {
            (Deed::Note(key), _) => {
                let (key, content) = (format!("key{key}"), json!({ "note": number, "by": client.user_id }));
                Some(set_state(&client, room, NOTE, &key, content).await)
            }
            (Deed::React, Some(event)) => Some(react(&client, room, event, &number.to_string()).await),
            (Deed::Redact, Some(event)) => Some(redact(&client, room, event).await),
            (Deed::Read, Some(event)) => {
                receipt(&client, room, "m.read", event, json!({})).await;
                None
            }
            (Deed::Type, _) => {
                typing(&client, room, number % 2 == 0).await;
                None
            }
            _ => {
                let id = say(&client, room, &number.to_string()).await;
                last.insert(room.clone(), id.clone());
                Some(id)
            }
        };
        sent.entry(room.clone()).or_default().extend(id);
    }
    sent
}

/// One sync and the closing of its gaps; whether there was anything new in a room.
async fn synchronise(
    client: &Client,
    look: Look,
    since: &mut Option<String>,
    known: &mut BTreeMap<String, Known>,
) -> bool {
    let by = json!({ "room": {
        "timeline": { "limit": look.limit },
        "state": { "lazy_load_members": look.lazy },
    } });
    let from = since.as_ref().map_or(String::new(), |since| format!("&since={}", enc(since)));
    let sync = sync_with(client, &format!("timeout={}&{}{from}", look.timeout, filter(&by))).await;
    let mut any = false;
    for (room, part) in sync["rooms"]["join"].as_object().into_iter().flatten() {
        let timeline = list(part, "/timeline/events");
        any |= !timeline.is_empty();
        let is_new = !known.contains_key(room);
        let of = known.entry(room.clone()).or_default();
        let mut events: Vec<String> = ids_of(timeline);
        if part["timeline"]["limited"] == true {
            let to = match (&*since, is_new) {
                (Some(since), false) if look.says_to => format!("&to={}", enc(since)),
                _ => String::new(),
            };
            let first = at(part, "/timeline/prev_batch").to_owned();
            let mut gap = close(client, room, first, &to, look.page, &of.events).await;
            gap.append(&mut events);
            events = gap;
        }
        of.events.append(&mut events);
        for event in list(part, "/state/events").iter().chain(timeline).map(Fact::of) {
            if let Some(key) = event.key() {
                of.state.insert(key, event.event_id);
            }
        }
    }
    *since = Some(next(&sync));
    any
}

fn ids_of(events: &[Value]) -> Vec<String> {
    crate::rooms_kit::ids(events).into_iter().map(str::to_owned).collect()
}

/// The events between the known ones and a place in a room, the oldest first.
async fn close(
    client: &Client,
    room: &str,
    mut from: String,
    to: &str,
    page: u32,
    known: &[String],
) -> Vec<String> {
    let mut gap = Vec::new();
    loop {
        let body = messages(client, room, &format!("dir=b&limit={page}&from={}{to}", enc(&from))).await;
        for id in ids_of(list(&body, "/chunk")) {
            if to.is_empty() && known.last() == Some(&id) {
                gap.reverse();
                return gap;
            }
            gap.push(id);
        }
        match body["end"].as_str() {
            Some(end) => end.clone_into(&mut from),
            None => break,
        }
    }
    gap.reverse();
    gap
}

async fn play(senders: &[Client], reader: &Client, case: Case) {
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        let levels = json!({ "events": { NOTE: 0 } });
        let body = json!({ "preset": "public_chat", "power_level_content_override": levels });
        let room = create(&senders[0], body).await;
        for sender in &senders[1..] {
            join(sender, &room).await;
        }
        rooms.push(room);
    }
    for room in &rooms[1..] {
        join(reader, room).await;
    }
    let working = AtomicUsize::new(senders.len());
    let writing = senders.iter().zip(&case.deeds).map(|(sender, deeds)| {
        let (rooms, working) = (rooms.clone(), &working);
        async move {
            let sent = tokio::spawn(write(sender.clone(), rooms, deeds.clone())).await.unwrap();
            working.fetch_sub(1, Ordering::SeqCst);
            sent
        }
    });
    let reading = async {
        let (mut since, mut known) = (None, BTreeMap::new());
        for (number, &look) in case.looks.iter().cycle().enumerate() {
            let done = working.load(Ordering::SeqCst) == 0;
            if number == case.joins_after {
                join(reader, &rooms[0]).await;
            }
            let look = if done { Look { timeout: 0, ..look } } else { look };
            let any = synchronise(reader, look, &mut since, &mut known).await;
            if done && !any && number > case.joins_after {
                break;
            }
        }
        known
    };
    let (sent, known) = tokio::join!(futures_util::future::join_all(writing), reading);
    let lazy = case.looks.iter().any(|look| look.lazy);
    for room in &rooms {
        let Known { events: seen, state } = &known[room];
        let (events, _) = all_messages(&senders[0], room, "dir=f&limit=100").await;
        let events = ids_of(&events);
        assert_eq!(*seen, events, "what the client saw of {room}");
        let stored = ok(reader.get(&room_path(room, "state")).await);
        let (mut stored, mut state) = (ids(&by_key(stored.as_array().unwrap())), state.clone());
        if lazy {
            stored.retain(|(kind, _), _| kind != "m.room.member");
            state.retain(|(kind, _), _| kind != "m.room.member");
        }
        assert_eq!(state, stored, "the state that the client knows of {room}");
        for of in &sent {
            let of = of.get(room).cloned().unwrap_or_default();
            let wanted: BTreeSet<&String> = of.iter().collect();
            let in_order: Vec<&String> = events.iter().filter(|id| wanted.contains(id)).collect();
            assert_eq!(in_order, of.iter().collect::<Vec<_>>(), "what one sent to {room}");
        }
        leave(reader, room).await;
    }
}

on_both_engines! {
    async fn a_client_sees_every_event_once(server: Server) {
        let mut senders = Vec::new();
        for number in 0..SENDERS {
            senders.push(server.user(&format!("sender{number}")).await);
        }
        let reader = server.user("reader").await;
        for_all(5, &case(), async |case| play(&senders, &reader, case).await);
    }
}
