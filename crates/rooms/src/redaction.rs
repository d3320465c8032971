//! Redaction of single events.

use reeve_db::Tx;
use reeve_model::{Ctx, Millis, User, random};
use reeve_store::events::{self, Event};
use reeve_store::rooms::Room;
use serde_json::{Map, Value};

use crate::Home;
use crate::error::Error;
use crate::event::{self, Draft};
use crate::lookup::joined_room;
use crate::power;
use crate::types;

/// Returns an id for an event of a shadow-banned user, which does not exist.
pub(crate) fn invented_event_id() -> String {
    format!("${}", random::letters(43))
}

/// A redaction that a client requests.
#[derive(Clone, Copy)]
pub struct WantedRedaction<'a> {
    /// The room.
    pub room_id: &'a str,
    /// The event to redact.
    pub target_id: &'a str,
    /// The reason.
    pub reason: Option<&'a str>,
}

/// Redacts an event for a user and returns the id of the redaction.
pub fn redact(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    WantedRedaction { room_id, target_id, reason }: WantedRedaction<'_>,
) -> Result<String, Error> {
    let mut room = joined_room(tx, room_id, &user.user_id)?;
    let target = events::find(tx, target_id)?
        .filter(|event| event.room_num == room.num)
        .ok_or(Error::NotFound("Could not find event"))?;
    if user.suspended && target.sender != user.user_id {
        return Err(Error::Suspended("You can only redact your own events while account is suspended."));
    }
    if target.sender != user.user_id && !power::may_redact(tx, &room, &user.user_id)? {
        return Err(Error::Forbidden("You don't have permission to redact events".to_owned()));
    }
    if target.event_type == types::CREATE {
        return Err(Error::Forbidden("Redacting a create event is not permitted".to_owned()));
    }
    if user.shadow_banned {
        return Ok(invented_event_id());
    }
    let redaction = Redaction { sender: &user.user_id, target: &target, reason, bypass_auth: false };
    Ok(redact_as(tx, home, &mut room, redaction, ctx.now)?.event_id)
}

/// A redaction in the name of a user.
#[derive(Clone, Copy, Debug)]
pub struct Redaction<'a> {
    /// The user id of the sender.
    pub sender: &'a str,
    /// The event to redact.
    pub target: &'a Event,
    /// The reason.
    pub reason: Option<&'a str>,
    /// True if the rules of the room do not apply, since an administrator of the server ordered it.
    pub bypass_auth: bool,
}

/// Redacts an event in the name of a user. Only the rules of the room decide whether the user may.
pub fn redact_as(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    Redaction { sender, target, reason, bypass_auth }: Redaction<'_>,
    now: Millis,
) -> Result<Event, Error> {
    let mut content = Map::new();
    if let Some(reason) = reason {
        content.insert("reason".to_owned(), Value::String(reason.to_owned()));
    }
    let draft = Draft {
        redacts: Some(target.event_id.clone()),
        bypass_auth,
        ..Draft::message(types::REDACTION, sender, content)
    };
    let redaction = event::append(tx, home, room, draft, now)?;
    event::redact(tx, room, target, &redaction)?;
    Ok(redaction)
}
