//! Compares the rooms after a kill with the knowledge of the talkers and the watcher.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::Client;
use crate::talk::{Act, Board, NOTE, Part, Talker, note_key, path};
use crate::watch::Watcher;

const CS: &str = "/_matrix/client/v3";
/// The number of events of a page; few, so that there are several pages.
const PAGE: u64 = 50;

/// The known facts of a room, independent of its members.
#[derive(Default)]
pub(crate) struct Room {
    /// All its events, the oldest first.
    events: Vec<Value>,
    /// The token of the next page.
    end: Option<String>,
    /// The state that never changes: the id of the event by type and key.
    fixed: BTreeMap<(String, String), String>,
}

/// All rooms.
pub(crate) type Rooms = BTreeMap<String, Room>;

/// Compares everything the talkers and the watcher know with the server's responses. The results of requests in
/// flight are known afterwards.
pub(crate) fn check(
    (talkers, watcher): (&mut [Talker], &mut Watcher),
    rooms: &mut Rooms,
    board: &Board,
    address: SocketAddr,
    when: &str,
) {
    for talker in &mut *talkers {
        settle(talker, &mut Client::new(address, Some(&talker.token)), board, when);
        repeat(talker, &mut Client::new(address, Some(&talker.token)), when);
    }
    watcher.catch_up(address);
    for talker in talkers.iter() {
        for room in &talker.touched {
            rooms.entry(room.clone()).or_default();
        }
    }
    let touched: Vec<String> = rooms
        .keys()
        .filter(|room| talkers.iter().any(|talker| talker.touched.contains(*room)))
        .cloned()
        .collect();
    for room in touched {
        let owner =
            talkers.iter().find(|talker| talker.parts.get(&room).is_some_and(|part| part.own)).unwrap();
        let mut client = Client::new(address, Some(&owner.token));
        let known = rooms.get_mut(&room).unwrap();
        read_on(known, &mut client, &room);
        one_room(known, talkers, watcher, &mut client, &room, when);
    }
    let owned = talkers.iter().flat_map(|talker| talker.parts.iter()).filter(|(_, part)| part.own).count();
    assert_eq!(watcher.rooms.len(), owned, "{when}: the watcher is in every room");
    for talker in talkers {
        one_talker(talker, &mut Client::new(address, Some(&talker.token)), when);
        talker.touched.clear();
    }
}

/// Reads all rooms once more from the beginning, and compares again.
pub(crate) fn check_all(
    (talkers, watcher): (&mut [Talker], &mut Watcher),
    rooms: &mut Rooms,
    board: &Board,
    address: SocketAddr,
) {
    for room in rooms.values_mut() {
        (room.events, room.end) = (Vec::new(), None);
    }
    for talker in &mut *talkers {
        talker.touched = talker.parts.keys().cloned().collect();
    }
    check((talkers, watcher), rooms, board, address, "at the end");
}

/// Finds out whether what was in flight was done, and does it if it can be done again.
fn settle(talker: &mut Talker, client: &mut Client, board: &Board, when: &str) {
    let Some(act) = talker.in_flight.take() else { return };
    let when = format!("{when}: {} after an unanswered {act:?}", talker.user_id);
    let landed = match &act {
        Act::Create { stamp } => created(talker, client, stamp, &when).map(|room| json!({ "room_id": room })),
        Act::Join { room } => joined(client).contains(room).then_some(Value::Null),
        Act::Leave { room } => (!joined(client).contains(room)).then_some(Value::Null),
        Act::Read { .. } => None,
        _ => {
            let mut known = Room::default();
            read_on(&mut known, client, act.room().unwrap());
            let found: Vec<&Value> = known.events.iter().filter(|event| is_of(event, &act)).collect();
            assert!(found.len() <= 1, "{when}: it was done twice: {found:?}");
            found.first().map(|event| json!({ "event_id": event["event_id"] }))
        }
    };
    talker.landed += u64::from(landed.is_some());
    match landed {
        Some(answer) => {
            if act.is_repeatable() {
                assert_eq!(talker.ask(client, &act).unwrap(), answer, "{when}: the same transaction again");
            }
            talker.happened(&act, &answer, board);
        }
        // A client without a response repeats the request, if the server can recognise it.
        None if act.is_repeatable() || matches!(act, Act::Read { .. }) => {
            let answer = talker.ask(client, &act).unwrap();
            talker.happened(&act, &answer, board);
        }
        None => {}
    }
    talker.touched.extend(act.room().map(str::to_owned));
}

/// The room that a talker created with this name, if it did. It is whole, or it is not there.
fn created(talker: &Talker, client: &mut Client, name: &str, when: &str) -> Option<String> {
    let unknown: Vec<String> =
        joined(client).into_iter().filter(|room| !talker.parts.contains_key(room)).collect();
    assert!(unknown.len() <= 1, "{when}: these rooms are new: {unknown:?}");
    let room = unknown.into_iter().next()?;
    let state = client.get(&path(&room, "state/m.room.name"));
    assert_eq!(state.body, json!({ "name": name }), "{when}: half of a room");
    Some(room)
}

fn joined(client: &mut Client) -> Vec<String> {
    let reply = client.get(&format!("{CS}/joined_rooms"));
    serde_json::from_value(reply.body["joined_rooms"].clone()).unwrap()
}

/// True if an event was created by an act, judged by its unique words.
fn is_of(event: &Value, act: &Act) -> bool {
    let content = &event["content"];
    let words = ["body", "reason", "note", "topic"].iter().find_map(|key| content[key].as_str());
    words.is_some() && words == act.stamp()
}

/// Sends the last request with a transaction id again.
fn repeat(talker: &Talker, client: &mut Client, when: &str) {
    if let Some((act, event)) = &talker.last
        // The messages of users who left meanwhile are not checked.
        && act.room().is_some_and(|room| talker.parts[room].is_in())
    {
        let again = talker.ask(client, act).unwrap();
        assert_eq!(again, json!({ "event_id": event }), "{when}: {act:?} again");
    }
}

/// Reads what was not read yet of a room, page by page.
fn read_on(known: &mut Room, client: &mut Client, room: &str) {
    loop {
        let from = known.end.as_ref().map_or(String::new(), |end| format!("&from={end}"));
        let reply = client.get(&path(room, &format!("messages?dir=f&limit={PAGE}{from}")));
        assert_eq!(reply.status, 200, "{room}: {}", reply.body);
        let events = reply.body["chunk"].as_array().unwrap();
        if events.is_empty() {
            return;
        }
        known.events.extend_from_slice(events);
        match reply.body["end"].as_str() {
            Some(end) => known.end = Some(end.to_owned()),
            None => return,
        }
    }
}

fn text<'a>(event: &'a Value, key: &str) -> &'a str {
    event[key].as_str().unwrap_or_default()
}

/// The events of a room against what each talker did there, and against what the watcher saw; then its state.
fn one_room(
    known: &mut Room,
    talkers: &[Talker],
    watcher: &Watcher,
    client: &mut Client,
    room: &str,
    when: &str,
) {
    let ids: Vec<&str> = known.events.iter().map(|event| text(event, "event_id")).collect();
    assert_eq!(watcher.rooms[room], ids, "{when}: what the watcher saw of {room}");
    for Talker { user_id, parts, .. } in talkers {
        let nothing = Part::default();
        let part = parts.get(room).unwrap_or(&nothing);
        let said = |event: &&Value| {
            let kinds = ["m.room.message", "m.room.redaction", "m.room.topic", NOTE];
            event["sender"] == user_id.as_str() && kinds.contains(&text(event, "type"))
        };
        let sent: Vec<&str> = known.events.iter().filter(said).map(|event| text(event, "event_id")).collect();
        assert_eq!(sent, part.sent, "{when}: what {user_id} sent to {room}");
        let moved =
            |event: &&Value| event["type"] == "m.room.member" && event["state_key"] == user_id.as_str();
        let moves: Vec<&str> =
            known.events.iter().filter(moved).map(|event| text(&event["content"], "membership")).collect();
        assert_eq!(moves, part.moves, "{when}: the ways of {user_id} in {room}");
    }

    let reply = client.get(&path(room, "state"));
    let mut state: BTreeMap<(String, String), Value> = BTreeMap::new();
    for event in reply.body.as_array().unwrap() {
        let key = (text(event, "type").to_owned(), text(event, "state_key").to_owned());
        assert!(state.insert(key, event.clone()).is_none(), "{when}: {room} has this twice: {event}");
    }
    let mut take = |kind: &str, key: &str, field: &str| {
        let event = state.remove(&(kind.to_owned(), key.to_owned()));
        event.map(|event| text(&event["content"], field).to_owned())
    };
    for Talker { user_id, parts, .. } in talkers {
        let nothing = Part::default();
        let part = parts.get(room).unwrap_or(&nothing);
        let membership = part.moves.last().map(|&membership| membership.to_owned());
        assert_eq!(take("m.room.member", user_id, "membership"), membership, "{when}: {user_id} in {room}");
        assert_eq!(
            take(NOTE, note_key(user_id), "note"),
            part.note,
            "{when}: the note of {user_id} in {room}"
        );
        if part.own {
            assert_eq!(take("m.room.topic", "", "topic"), part.topic, "{when}: {room}");
        }
    }
    assert_eq!(
        take("m.room.member", &watcher.user_id, "membership").as_deref(),
        Some("join"),
        "{when}: {room}"
    );
    let fixed = state.into_iter().map(|(key, event)| (key, text(&event, "event_id").to_owned())).collect();
    if known.fixed.is_empty() {
        known.fixed = fixed;
        let kinds: Vec<&str> = known.fixed.keys().map(|(kind, _)| kind.as_str()).collect();
        let whole = [
            "m.room.create",
            "m.room.history_visibility",
            "m.room.join_rules",
            "m.room.name",
            "m.room.power_levels",
        ];
        assert_eq!(kinds, whole, "{when}: half of {room}");
    } else {
        assert_eq!(known.fixed, fixed, "{when}: the state of {room} that never changes");
    }
}

/// The facts that were acknowledged to one talker.
fn one_talker(talker: &mut Talker, client: &mut Client, when: &str) {
    let when = format!("{when}: {}", talker.user_id);
    for (room, event_id) in std::mem::take(&mut talker.fresh) {
        let part = &talker.parts[&room];
        let reply = client.get(&path(&room, &format!("event/{event_id}")));
        assert_eq!(
            (reply.status, reply.text("event_id")),
            (200, event_id.as_str()),
            "{when}: {}",
            reply.body
        );
        let event = &reply.body;
        match part.redacted.get(&event_id) {
            Some(redaction) => {
                let seen = (&event["content"], &event["unsigned"]["redacted_by"]);
                assert_eq!(seen, (&json!({}), &json!(redaction)), "{when}: {event}");
            }
            None => assert_ne!(event["content"], json!({}), "{when}: {event}"),
        }
    }
    let filter = "%7B%22room%22:%7B%22timeline%22:%7B%22limit%22:1%7D%7D%7D";
    let sync = client.get(&format!("{CS}/sync?timeout=0&filter={filter}")).body;
    for (room, part) in talker.parts.iter().filter(|(_, part)| part.is_in()) {
        let ephemeral = sync["rooms"]["join"][room]["ephemeral"]["events"].as_array();
        let ephemeral = ephemeral.unwrap_or_else(|| panic!("{when}: {room} is not in {sync}"));
        let receipts = ephemeral.iter().find(|event| event["type"] == "m.receipt");
        let receipts = receipts.and_then(|event| event["content"].as_object());
        let mut read: Option<&String> = None;
        for (event_id, by_type) in receipts.into_iter().flatten() {
            if by_type["m.read"].get(&talker.user_id).is_some() {
                assert_eq!(read.replace(event_id), None, "{when}: two receipts in {room}");
            }
        }
        assert_eq!(read, part.read.as_ref(), "{when}: the receipt in {room}");
    }
}
