//! Access to rooms from outside: what may be known of a room without being in it.

use reeve_db::ReadTx;
use reeve_model::Membership;
use reeve_store::memberships;
use reeve_store::rooms::{self, Room};
use serde_json::Value;

use crate::aliases::room_id;
use crate::error::Error;
use crate::event;
use crate::membership;
use crate::types;

/// The room that an id or an alias stands for, for a user who wants to join it or to knock. A room that the user must not
/// know of is refused like one that does not exist.
pub fn room_to_enter(tx: &ReadTx<'_>, user_id: &str, room_id_or_alias: &str) -> Result<Room, Error> {
    let room_id = room_id(tx, room_id_or_alias)?;
    // A block outlives the room.
    if rooms::blocked_by(tx, &room_id)?.is_some() {
        return Err(Error::Blocked);
    }
    known_room(tx, user_id, &room_id)?.ok_or_else(|| Error::forbidden("You are not invited to this room."))
}

/// A room, if a user may know that it exists: the user may preview it, or was ever in touch with it.
pub(crate) fn known_room(tx: &ReadTx<'_>, user_id: &str, room_id: &str) -> Result<Option<Room>, Error> {
    let Some(room) = rooms::find(tx, room_id)? else { return Ok(None) };
    let known = memberships::find(tx, user_id, room.num)?.is_some() || may_preview(tx, user_id, &room)?;
    Ok(known.then_some(room))
}

/// Whether everybody may see how a room presents itself.
pub(crate) fn is_open(room: &Room) -> bool {
    matches!(room.join_rule.as_deref(), Some("public" | "knock" | "knock_restricted"))
        || room.history_visibility.as_deref() == Some("world_readable")
}

/// Whether somebody may see how a room presents itself: who is in it or invited, who could join, everybody if the
/// world may read it.
pub fn may_preview(tx: &ReadTx<'_>, user_id: &str, room: &Room) -> Result<bool, Error> {
    match membership::current(tx, user_id, room)? {
        Membership::Join | Membership::Invite => return Ok(true),
        Membership::Ban => return Ok(false),
        Membership::Knock | Membership::Leave => {}
    }
    if is_open(room) {
        return Ok(true);
    }
    if room.join_rule.as_deref() == Some("restricted") {
        for allowed in allowed_rooms(tx, room)? {
            if let Some(other) = rooms::find(tx, &allowed)?
                && membership::current(tx, user_id, &other)? == Membership::Join
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The rooms whose members a restricted room lets in.
pub fn allowed_rooms(tx: &ReadTx<'_>, room: &Room) -> Result<Vec<String>, Error> {
    let rule = event::state_content(tx, room, types::JOIN_RULES, "")?.unwrap_or_default();
    let allowed = rule.get("allow").and_then(Value::as_array).cloned().unwrap_or_default();
    let room_ids = allowed.iter().filter_map(|condition| condition.get("room_id").and_then(Value::as_str));
    Ok(room_ids.map(str::to_owned).collect())
}
