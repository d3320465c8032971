//! Rooms as requests name them.

use reeve_db::ReadTx;
use reeve_model::Membership;
use reeve_store::memberships;
use reeve_store::rooms::{self, Room};

use crate::error::Error;

/// Returns the room with an id.
pub fn find_room(tx: &ReadTx<'_>, room_id: &str) -> Result<Room, Error> {
    rooms::find(tx, room_id)?.ok_or(Error::NotFound("Unknown room"))
}

/// Returns the room with an id, which the user must have joined.
pub fn joined_room(tx: &ReadTx<'_>, room_id: &str, user_id: &str) -> Result<Room, Error> {
    let room = rooms::find(tx, room_id)?.ok_or_else(|| not_in(user_id, room_id))?;
    let member = memberships::find(tx, user_id, room.num)?;
    if member.is_some_and(|member| member.membership == Membership::Join) {
        Ok(room)
    } else {
        Err(not_in(user_id, room_id))
    }
}

/// Returns the error for a user who is not in a room, or for an unknown room.
pub(crate) fn not_in(user_id: &str, room_id: &str) -> Error {
    Error::Forbidden(format!("User {user_id} not in room {room_id}"))
}
