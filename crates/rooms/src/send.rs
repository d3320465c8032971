//! Sending of events, and setting of state.

use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, Membership, Millis, Pos, User};
use reeve_store::events;
use reeve_store::rooms::Room;
use reeve_store::transactions::{self, Key};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::event::{self, Draft};
use crate::lookup::{joined_room, not_in};
use crate::redaction::{self, WantedRedaction};
use crate::types;
use crate::{Home, aliases, lifetimes, membership, preview};

const SUSPENDED: &str = "Sending messages while account is suspended is not allowed.";

/// An event that a client sends.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The type of the event.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its content.
    pub content: Map<String, Value>,
}

/// Makes an event and returns its id. A request with the same key as an earlier one makes none, and returns the earlier
/// id.
pub fn once<'t>(
    tx: &mut Tx<'t>,
    key: Option<&Key>,
    now: Millis,
    make: impl FnOnce(&mut Tx<'t>) -> Result<String, Error>,
) -> Result<String, Error> {
    let Some(key) = key else { return make(tx) };
    if let Some(event_id) = transactions::find(tx, key)? {
        return Ok(event_id);
    }
    let event_id = make(tx)?;
    transactions::insert(tx, key, &event_id, now)?;
    Ok(event_id)
}

/// Sends an event for a user and returns its id.
pub fn send(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    room_id: &str,
    sent: &Sent,
) -> Result<String, Error> {
    let is_redaction = sent.event_type == types::REDACTION && sent.state_key.is_none();
    if is_redaction {
        let Some(target_id) = sent.content.get("redacts").and_then(Value::as_str) else {
            return Err(Error::BadContent("A redaction must say what it redacts".to_owned()));
        };
        let reason = sent.content.get("reason").and_then(Value::as_str);
        return redaction::redact(tx, home, ctx, user, WantedRedaction { room_id, target_id, reason });
    }
    if user.suspended {
        return Err(Error::Suspended(SUSPENDED));
    }
    let mut room = joined_or_moving(tx, room_id, user, sent)?;
    check_content(tx, home, &room, user, sent)?;
    let plain;
    let sent = if user.shadow_banned && is_own_move(user, sent) {
        plain =
            Sent { content: membership::without_own_names(tx, &room, user, &sent.content)?, ..sent.clone() };
        &plain
    } else {
        sent
    };
    if user.shadow_banned && !is_own_move(user, sent) {
        return Ok(redaction::invented_event_id());
    }
    let draft = Draft {
        event_type: sent.event_type.clone(),
        state_key: sent.state_key.clone(),
        sender: user.user_id.clone(),
        content: sent.content.clone(),
        ..Draft::default()
    };
    // Unchanged state is not sent again.
    if let Some(event_id) = event::unchanged(tx, &room, &draft)? {
        return Ok(event_id);
    }
    let event_id = event::append(tx, home, &mut room, draft, ctx.now)?.event_id;
    if sent.event_type == types::GUEST_ACCESS && room.guest_access.as_deref() != Some("can_join") {
        membership::remove_guests(tx, home, &mut room, ctx.now)?;
    }
    Ok(event_id)
}

/// Returns true if a user changes the own membership, which shadow-banned users do like others.
fn is_own_move(user: &User, sent: &Sent) -> bool {
    sent.event_type == types::MEMBER && sent.state_key.as_deref() == Some(&user.user_id)
}

/// Returns the room. A user who joins by sending a membership event need not be in it yet.
fn joined_or_moving(tx: &ReadTx<'_>, room_id: &str, user: &User, sent: &Sent) -> Result<Room, Error> {
    let user_id = &user.user_id;
    if is_own_move(user, sent) {
        preview::known_room(tx, user_id, room_id)?.ok_or_else(|| not_in(user_id, room_id))
    } else {
        joined_room(tx, room_id, user_id)
    }
}

/// Checks the content of some types of events.
pub(crate) fn check_content(
    tx: &ReadTx<'_>,
    home: &Home,
    room: &Room,
    user: &User,
    sent: &Sent,
) -> Result<(), Error> {
    if let Some(relation) = sent.content.get("m.relates_to").and_then(Value::as_object) {
        check_relation(tx, room, user, relation, sent)?;
    }
    match (sent.event_type.as_str(), sent.state_key.as_deref()) {
        (types::CANONICAL_ALIAS, Some("")) => aliases::check_canonical_alias(tx, room, &sent.content),
        (types::MEMBER, Some(target)) => {
            membership::check_content(target, &sent.content)?;
            match membership::named(&sent.content) {
                Some(Membership::Invite) => {
                    membership::check_target(home, target)?;
                    membership::check_takes_invites(tx, target)
                }
                Some(Membership::Join | Membership::Knock | Membership::Leave | Membership::Ban) | None => {
                    Ok(())
                }
            }
        }
        (types::RETENTION, Some("")) => lifetimes::check_content(&sent.content),
        (types::SERVER_ACL, Some("")) if !sent.content.is_empty() => {
            let lists = ["allow", "deny"];
            let bad = |key: &&str| sent.content.get(*key).is_some_and(|value| !value.is_array());
            if lists.iter().any(bad) {
                return Err(Error::BadContent("A list of servers must be an array".to_owned()));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_relation(
    tx: &ReadTx<'_>,
    room: &Room,
    user: &User,
    relation: &Map<String, Value>,
    sent: &Sent,
) -> Result<(), Error> {
    let text = |key: &str| relation.get(key).and_then(Value::as_str);
    let (Some(rel_type), Some(event_id)) = (text("rel_type"), text("event_id")) else { return Ok(()) };
    let target = events::find(tx, event_id)?.filter(|event| event.room_num == room.num);
    if target.is_none() {
        // The target may be on another server; but the server must know events whose relations it counts.
        return if matches!(rel_type, types::THREAD | types::ANNOTATION) {
            Err(Error::Refused("Can't send relation to unknown event".to_owned()))
        } else {
            Ok(())
        };
    }
    match rel_type {
        types::ANNOTATION => {
            let key = text("key").unwrap_or_default();
            let Some(key) = Some(key).filter(|key| !key.is_empty()) else {
                return Err(Error::Refused("Reaction key is missing".to_owned()));
            };
            if key.len() > 1024 {
                return Err(Error::Refused("Reaction key is too long".to_owned()));
            }
            if has_annotated(tx, &user.user_id, &sent.event_type, event_id, key)? {
                return Err(Error::DuplicateAnnotation);
            }
            Ok(())
        }
        types::THREAD if target.is_some_and(|target| target.rel_type.is_some()) => {
            Err(Error::Refused("Cannot start threads from an event with a relation".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Returns true if a user already annotated an event with this key by an event of this type.
fn has_annotated(
    tx: &ReadTx<'_>,
    user_id: &str,
    event_type: &str,
    event_id: &str,
    key: &str,
) -> Result<bool, Error> {
    for annotation in events::by_relation(tx, event_id, types::ANNOTATION, Pos::END, 1000)? {
        if annotation.sender == user_id
            && annotation.event_type == event_type
            && annotation.redacted_by.is_none()
        {
            let content: Value = serde_json::from_str(&annotation.json).map_err(Error::internal)?;
            if content.pointer("/content/m.relates_to/key").and_then(Value::as_str) == Some(key) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
