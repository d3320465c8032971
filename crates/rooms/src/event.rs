//! Making events: complete, signed, checked against the rules of the room, and appended to its history.
//! <https://spec.matrix.org/v1.18/server-server-api/#pdus>

mod content;
mod pdu;
mod sign;
mod store;

pub use self::content::{content, rules};
pub use self::sign::MAX_EVENT;
pub(crate) use self::store::redact;

use std::sync::Arc;

use reeve_db::{ReadTx, Tx};
use reeve_model::{Membership, Millis};
use reeve_store::events::{self, Event};
use reeve_store::memberships;
use reeve_store::rooms::{self, Room};
use reeve_store::users;
use ruma::events::TimelineEventType;
use ruma::state_res::{
    auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules,
};
use ruma::{OwnedEventId, UserId};
use serde_json::{Map, Value, json};

use self::content::check_shape;
use self::pdu::{Pdu, State};
use self::sign::sign;
use self::store::store;
use crate::error::Error;
use crate::types;
use crate::{Home, version};

/// Why a deactivated account is kept out of rooms.
pub(crate) const DEACTIVATED: &str = "This account has been deactivated";

/// An event that somebody wants to send.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its type.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Who sends it.
    pub sender: String,
    /// Its content.
    pub content: Map<String, Value>,
    /// The event that it redacts.
    pub redacts: Option<String>,
    /// Whether an administrator of the server ordered it, past the rules of the room.
    pub ordered: bool,
}

impl Draft {
    /// A message-like event.
    pub fn message(event_type: &str, sender: &str, content: Map<String, Value>) -> Self {
        Self { event_type: event_type.to_owned(), sender: sender.to_owned(), content, ..Self::default() }
    }

    /// A state event.
    pub fn state(event_type: &str, state_key: &str, sender: &str, content: Map<String, Value>) -> Self {
        Self { state_key: Some(state_key.to_owned()), ..Self::message(event_type, sender, content) }
    }
}

/// The room that a create event begins, and that event. In rooms of version 12 and later the event gives the room its
/// id.
pub fn begin(
    tx: &mut Tx<'_>,
    home: &Home,
    version: &str,
    room_id: &str,
    draft: &Draft,
    now: Millis,
) -> Result<(Room, Event), Error> {
    let rules = version::rules(version).ok_or(Error::UnsupportedVersion)?;
    check_shape(draft)?;
    let by_event = rules.authorization.room_create_event_id_as_room_id;
    let (mut now, mut room_id) = (now, room_id.to_owned());
    let signed = loop {
        let signed = sign(home, (!by_event).then_some(&room_id), draft, (&[], &[]), 1, now, &rules)?;
        if !by_event {
            break signed;
        }
        room_id = format!("!{}", signed.event_id.as_str().trim_start_matches('$'));
        if rooms::num(tx, &room_id)?.is_none() {
            break signed;
        }
        // Somebody created two rooms that are alike within a millisecond: only the time can tell them apart.
        now = now.plus(1);
    };
    let key = (draft.event_type.as_str(), draft.state_key.as_deref());
    let raw = serde_json::value::to_raw_value(&draft.content).map_err(Error::internal)?;
    let mut pdu = Pdu::new(signed.event_id.clone(), &room_id, key, &draft.sender, now, raw)?;
    if by_event {
        pdu.room_id = None;
    }
    let nothing = |_: &ruma::EventId| None::<Arc<Pdu>>;
    check_state_independent_auth_rules(&rules.authorization, pdu, nothing).map_err(Error::BadContent)?;
    let federatable = draft.content.get("m.federate").and_then(Value::as_bool).unwrap_or(true);
    let room_type = draft.content.get("type").and_then(Value::as_str).map(str::to_owned);
    let mut room = Room {
        room_id,
        version: version.to_owned(),
        creator: draft.sender.clone(),
        created_ts: now,
        federatable,
        ..Room::default()
    };
    room.num = rooms::insert(tx, &room)?;
    let before = room.clone();
    room.room_type = room_type;
    let event = store(tx, home, &mut room, draft, signed, now)?;
    rooms::update(tx, &before, &room)?;
    Ok((room, event))
}

/// Appends an event to a room, if its rules allow it. `room` is as read in this transaction, and moves along. A deactivated
/// account is in no room: it cannot join, and declines every invite at once.
pub fn append(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    draft: &Draft,
    now: Millis,
) -> Result<Event, Error> {
    let Some((user_id, membership)) = comes_closer(draft) else {
        return append_one(tx, home, room, draft, now);
    };
    let deactivated = users::find(tx, user_id)?.is_some_and(|user| user.deactivated);
    if deactivated && membership != Membership::Invite {
        return Err(Error::forbidden(DEACTIVATED));
    }
    let event = append_one(tx, home, room, draft, now)?;
    if deactivated {
        let content = Map::from_iter([("membership".to_owned(), json!(Membership::Leave))]);
        append_one(tx, home, room, &Draft::state(types::MEMBER, user_id, user_id, content), now)?;
        memberships::forget(tx, user_id, room.num)?;
    }
    Ok(event)
}

/// The user whom an event brings into a room or nearer to it, and the membership that it gives.
fn comes_closer(draft: &Draft) -> Option<(&str, Membership)> {
    let user_id = draft.state_key.as_deref().filter(|_| draft.event_type == types::MEMBER)?;
    let membership = draft.content.get("membership")?.as_str()?.parse().ok()?;
    match membership {
        Membership::Join | Membership::Invite | Membership::Knock => Some((user_id, membership)),
        Membership::Leave | Membership::Ban => None,
    }
}

fn append_one(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    draft: &Draft,
    now: Millis,
) -> Result<Event, Error> {
    check_shape(draft)?;
    let rules = rules(room)?;
    let raw = serde_json::value::to_raw_value(&draft.content).map_err(Error::internal)?;
    let sender = UserId::parse(&draft.sender).map_err(Error::internal)?;
    let event_type = TimelineEventType::from(draft.event_type.as_str());
    let auth_types =
        auth_types_for_event(&event_type, &sender, draft.state_key.as_deref(), &raw, &rules.authorization)
            .map_err(Error::BadContent)?;
    let signed = {
        let state = State::new(tx, room, &rules);
        let mut auth_events = Vec::with_capacity(auth_types.len());
        for (event_type, state_key) in &auth_types {
            if let Some(event) = state.look_up(&event_type.to_string(), state_key)? {
                auth_events.push(event.event_id.to_string());
            }
        }
        let prev_events = [room.last_event_id.clone()];
        let links = (prev_events.as_slice(), auth_events.as_slice());
        let signed = sign(home, Some(&room.room_id), draft, links, room.depth + 1, now, &rules)?;
        let key = (draft.event_type.as_str(), draft.state_key.as_deref());
        let mut pdu = Pdu::new(signed.event_id.clone(), &room.room_id, key, &draft.sender, now, raw)?;
        pdu.prev_events =
            prev_events.iter().filter_map(|id| OwnedEventId::try_from(id.as_str()).ok()).collect();
        let allowed = check_state_dependent_auth_rules(&rules.authorization, pdu, |event_type, state_key| {
            state.get(event_type, state_key)
        });
        if let Some(failure) = state.failure.into_inner() {
            return Err(failure);
        }
        if !draft.ordered {
            allowed.map_err(Error::Forbidden)?;
        }
        signed
    };
    let before = room.clone();
    let event = store(tx, home, room, draft, signed, now)?;
    rooms::update(tx, &before, room)?;
    Ok(event)
}

/// The content of a piece of state that holds at present.
pub fn state_content(
    tx: &ReadTx<'_>,
    room: &Room,
    event_type: &str,
    state_key: &str,
) -> Result<Option<Map<String, Value>>, Error> {
    let Some(event) = events::state(tx, room.num, event_type, state_key)? else { return Ok(None) };
    content(&event, &rules(room)?).map(Some)
}
