//! Access to rooms from outside: the facts that users may know without being members.

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

/// Returns the room of an id or alias, for a user who wants to join it or to knock. A room that the user must not know
/// of is refused like one that does not exist.
pub fn room_to_enter(tx: &ReadTx<'_>, user_id: &str, room_id_or_alias: &str) -> Result<Room, Error> {
    let room_id = room_id(tx, room_id_or_alias)?;
    // A room stays blocked after its deletion.
    if rooms::blocked_by(tx, &room_id)?.is_some() {
        return Err(Error::Blocked);
    }
    known_room(tx, user_id, &room_id)?.ok_or_else(|| Error::forbidden("You are not invited to this room."))
}

/// Returns a room, if a user may know that it exists: the user may preview it, or ever had a membership in it.
pub(crate) fn known_room(tx: &ReadTx<'_>, user_id: &str, room_id: &str) -> Result<Option<Room>, Error> {
    let Some(room) = rooms::find(tx, room_id)? else { return Ok(None) };
    let known = memberships::find(tx, user_id, room.num)?.is_some() || may_preview(tx, user_id, &room)?;
    Ok(known.then_some(room))
}

/// Returns true if everybody may preview a room.
pub(crate) fn is_open(room: &Room) -> bool {
    matches!(room.join_rule.as_deref(), Some("public" | "knock" | "knock_restricted"))
        || room.history_visibility.as_deref() == Some("world_readable")
}

/// Returns true if a user may preview a room: members and invited users, users who could join, and everybody if the
/// room is world-readable.
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

/// Returns the rooms whose members a restricted room admits.
pub fn allowed_rooms(tx: &ReadTx<'_>, room: &Room) -> Result<Vec<String>, Error> {
    let rule = event::state_content(tx, room, types::JOIN_RULES, "")?.unwrap_or_default();
    let allowed = rule.get("allow").and_then(Value::as_array).cloned().unwrap_or_default();
    let room_ids = allowed.iter().filter_map(|condition| condition.get("room_id").and_then(Value::as_str));
    Ok(room_ids.map(str::to_owned).collect())
}
