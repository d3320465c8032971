//! Acceptance of events into the history of their room.

use reeve_db::Tx;
use reeve_model::{Effect, Millis, Pos};
use reeve_store::events::{self, Event};
use reeve_store::rooms::Room;
use reeve_store::{event_words, stream, threads};
use ruma::state_res::Event as _;
use serde_json::{Map, Value};

use super::build::Signed;
use super::consequences::{move_member, summarise};
use crate::error::Error;
use crate::types;
use crate::{Home, push, words};

/// Stores an event as the newest of its room, with its consequences, and returns it as stored. The event must be
/// authorised by the present state, and follow the last event of the room: it replaces present state, the depth of the
/// room grows by one, and a relation to an event that is not stored is dropped. Events of other servers meet none of
/// that; beyond what is done here they would need a place in the history, their own authorising events, and rejection.
pub(super) fn accept(tx: &mut Tx<'_>, home: &Home, room: &mut Room, signed: Signed) -> Result<Event, Error> {
    let Signed { pdu, content, json } = signed;
    let pos = stream::next(tx)?;
    let relation = relation(tx, room, &content)?;
    let event_type = pdu.event_type().to_string();
    let state_key = pdu.state_key().map(str::to_owned);
    let is_member = event_type == types::MEMBER && state_key.is_some();
    let membership = content.get("membership").and_then(Value::as_str).filter(|_| is_member);
    let mut event = Event {
        pos,
        room_num: room.num,
        event_id: pdu.event_id().to_string(),
        event_type,
        until_pos: state_key.as_ref().map(|_| Pos::END),
        state_key,
        sender: pdu.sender().to_string(),
        ts: Millis::new(pdu.origin_server_ts().0.into()),
        membership: membership.and_then(|membership| membership.parse().ok()),
        relates_to: relation.as_ref().map(|relation| relation.event_id.to_owned()),
        rel_type: relation.map(|relation| relation.rel_type.to_owned()),
        redacted_by: None,
        effect: Effect::Nothing,
        json,
    };
    if let Some(state_key) = &event.state_key {
        match events::state(tx, room.num, &event.event_type, state_key)? {
            Some(old) => events::replace(tx, old.pos, pos)?,
            None => room.state_events += 1,
        }
    }
    room.last_event_id.clone_from(&event.event_id);
    room.depth += 1;
    room.last_pos = pos;
    if event.state_key.as_deref() == Some("") {
        summarise(room, &event.event_type, &content);
    }
    move_member(tx, home, room, &event, &content)?;
    event.effect = push::note(tx, home, room, &event, &content)?;
    events::insert(tx, &event)?;
    if event.rel_type.as_deref() == Some(types::THREAD)
        && let Some(root) = &event.relates_to
    {
        threads::add_reply(tx, root, room.num, pos)?;
    }
    if let Some(text) = words::text(&event.event_type, &content) {
        event_words::index(tx, pos, text)?;
    }
    Ok(event)
}

/// A relation to another event.
struct Relation<'c> {
    rel_type: &'c str,
    event_id: &'c str,
}

/// Returns the relation in the content, if it has a type and its target is in the same room: a viewer of another room
/// need not be allowed to see this one.
fn relation<'c>(
    tx: &Tx<'_>,
    room: &Room,
    content: &'c Map<String, Value>,
) -> Result<Option<Relation<'c>>, Error> {
    let text = |key: &str| content.get("m.relates_to")?.get(key)?.as_str();
    let Some(rel_type) = text("rel_type") else { return Ok(None) };
    let Some(event_id) = text("event_id") else { return Ok(None) };
    let same_room = events::room_of(tx, event_id)? == Some(room.num);
    Ok(same_room.then_some(Relation { rel_type, event_id }))
}
