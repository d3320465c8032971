//! Creation of events: they are completed, signed, checked against the rules of the room, and appended to its history.
//! <https://spec.matrix.org/v1.18/server-server-api/#pdus>

mod accept;
mod authorise;
mod build;
mod consequences;
mod content;
mod pdu;

pub use self::build::MAX_EVENT;
pub(crate) use self::consequences::redact;
pub use self::content::{content, rules};

use std::sync::Arc;

use reeve_db::{ReadTx, Tx};
use reeve_model::{Actor, HappeningKind, Membership, Millis};
use reeve_store::events::{self, Event};
use reeve_store::happenings::{self, NewHappening};
use reeve_store::memberships;
use reeve_store::room_bin;
use reeve_store::rooms::{self, Room};
use reeve_store::users;
use ruma::room_version_rules::RoomVersionRules;
use ruma::state_res::check_state_independent_auth_rules;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use self::accept::accept;
use self::authorise::State;
use self::build::{Place, build};
use self::content::check_shape;
use self::pdu::Pdu;
use crate::error::Error;
use crate::types;
use crate::{Home, version};

/// The reason why a deactivated account is kept out of rooms.
pub(crate) const DEACTIVATED: &str = "This account has been deactivated";

/// An event to create.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its type.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its sender.
    pub sender: String,
    /// Its content.
    pub content: Map<String, Value>,
    /// The event that it redacts.
    pub redacts: Option<String>,
    /// True if the rules of the room do not apply, since an administrator of the server ordered it.
    pub bypass_auth: bool,
}

impl Draft {
    /// Returns a message-like event.
    pub fn message(event_type: &str, sender: &str, content: Map<String, Value>) -> Self {
        Self { event_type: event_type.to_owned(), sender: sender.to_owned(), content, ..Self::default() }
    }

    /// Returns a state event.
    pub fn state(event_type: &str, state_key: &str, sender: &str, content: Map<String, Value>) -> Self {
        Self { state_key: Some(state_key.to_owned()), ..Self::message(event_type, sender, content) }
    }
}

/// Begins a room with a create event and returns both. In rooms of version 12 and later the event gives the room its
/// id.
pub fn begin(
    tx: &mut Tx<'_>,
    home: &Home,
    version: &str,
    room_id: &str,
    draft: Draft,
    now: Millis,
) -> Result<(Room, Event), Error> {
    let rules = version::rules(version).ok_or(Error::UnsupportedVersion)?;
    let (draft, raw) = checked(draft, &rules)?;
    let by_event = rules.authorization.room_create_event_id_as_room_id;
    let (mut now, mut room_id) = (now, room_id.to_owned());
    let signed = loop {
        let place = Place {
            room_id: (!by_event).then_some(&room_id),
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            depth: 1,
        };
        let signed = build(home, draft.clone(), raw.clone(), place, now, &rules)?;
        if !by_event {
            break signed;
        }
        room_id = format!("!{}", signed.pdu.event_id.as_str().trim_start_matches('$'));
        if rooms::num(tx, &room_id)?.is_none() && room_bin::find(tx, &room_id)?.is_none() {
            break signed;
        }
        // The same user created an equal room within a millisecond, which may be in the bin by now: only the time can
        // distinguish the two.
        now = now.plus(1);
    };
    let nothing = |_: &ruma::EventId| None::<Arc<Pdu>>;
    check_state_independent_auth_rules(&rules.authorization, &signed.pdu, nothing)
        .map_err(Error::BadContent)?;
    let federatable = signed.content.get("m.federate").and_then(Value::as_bool).unwrap_or(true);
    let room_type = signed.content.get("type").and_then(Value::as_str).map(str::to_owned);
    let mut room = Room {
        room_id,
        version: version.to_owned(),
        creator: draft.sender,
        created_ts: now,
        federatable,
        ..Room::default()
    };
    room.num = rooms::insert(tx, &room)?;
    let before = room.clone();
    room.room_type = room_type;
    let event = accept(tx, home, &mut room, signed)?;
    rooms::update(tx, &before, &room)?;
    let details = json!({ "version": room.version, "room_type": room.room_type });
    let created = NewHappening {
        ts: room.created_ts,
        kind: HappeningKind::RoomCreated,
        target: Some(&room.room_id),
        actor: &Actor::User(Arc::from(room.creator.as_str())),
        audited: None,
        details: &details,
    };
    happenings::record(tx, &created)?;
    Ok((room, event))
}

/// Appends an event to a room, if its rules allow it. `room` must be as read in this transaction, and is updated. A
/// deactivated account cannot join, and declines every invite at once.
pub fn append(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    draft: Draft,
    now: Millis,
) -> Result<Event, Error> {
    let Some((user_id, membership)) = comes_closer(&draft) else {
        return append_one(tx, home, room, draft, now);
    };
    if !users::find(tx, user_id)?.is_some_and(|user| user.deactivated) {
        return append_one(tx, home, room, draft, now);
    }
    if membership != Membership::Invite {
        return Err(Error::forbidden(DEACTIVATED));
    }
    let user_id = user_id.to_owned();
    let event = append_one(tx, home, room, draft, now)?;
    let content = Map::from_iter([("membership".to_owned(), json!(Membership::Leave))]);
    append_one(tx, home, room, Draft::state(types::MEMBER, &user_id, &user_id, content), now)?;
    memberships::forget(tx, &user_id, room.num)?;
    Ok(event)
}

/// Returns the user whom an event lets join, invites or lets knock, and the new membership.
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
    draft: Draft,
    now: Millis,
) -> Result<Event, Error> {
    // The authorisation rules for the present state do not forbid this.
    if draft.event_type == types::CREATE {
        return Err(Error::forbidden("A room is created only once"));
    }
    let rules = rules(room)?;
    let (draft, raw) = checked(draft, &rules)?;
    let bypass_auth = draft.bypass_auth;
    let state = State::new(tx, room, &rules);
    let place = Place {
        room_id: Some(&room.room_id),
        prev_events: vec![room.last_event_id.clone()],
        auth_events: state.auth_events(&draft, &raw)?,
        depth: room.depth + 1,
    };
    let signed = build(home, draft, raw, place, now, &rules)?;
    if !bypass_auth {
        state.authorise(&signed.pdu)?;
    }
    let before = room.clone();
    let event = accept(tx, home, room, signed)?;
    rooms::update(tx, &before, room)?;
    Ok(event)
}

/// Checks the shape of a draft. Returns it with the content of its event in rooms with these rules, and that content as
/// JSON.
fn checked(mut draft: Draft, rules: &RoomVersionRules) -> Result<(Draft, Box<RawValue>), Error> {
    check_shape(&draft)?;
    if rules.redaction.content_field_redacts
        && let Some(redacts) = draft.redacts.take()
    {
        draft.content.insert("redacts".to_owned(), Value::String(redacts));
    }
    let raw = serde_json::value::to_raw_value(&draft.content).map_err(Error::internal)?;
    Ok((draft, raw))
}

/// Returns the id of the present event, if a draft by the same sender sets state to its content.
pub(crate) fn unchanged(tx: &ReadTx<'_>, room: &Room, draft: &Draft) -> Result<Option<String>, Error> {
    let Some(state_key) = &draft.state_key else { return Ok(None) };
    let Some(old) = events::state(tx, room.num, &draft.event_type, state_key)? else { return Ok(None) };
    let same = old.sender == draft.sender && content(&old, &rules(room)?)? == draft.content;
    Ok(same.then_some(old.event_id))
}

/// Returns the content of a present piece of state.
pub fn state_content(
    tx: &ReadTx<'_>,
    room: &Room,
    event_type: &str,
    state_key: &str,
) -> Result<Option<Map<String, Value>>, Error> {
    let Some(event) = events::state(tx, room.num, event_type, state_key)? else { return Ok(None) };
    content(&event, &rules(room)?).map(Some)
}
