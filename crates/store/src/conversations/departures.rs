//! Forced leaves: users who were made to leave rooms that were then deleted.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Pos;

reeve_db::statements! {
    PUT = "INSERT INTO departures (user_id, room_id, pos, event) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (user_id, room_id) DO UPDATE SET pos = excluded.pos, event = excluded.event";
    OF_USER = "SELECT d.room_id, d.pos, d.event FROM departures d WHERE d.user_id = $1 AND d.pos > $2 \
               AND NOT EXISTS (SELECT 1 FROM rooms r WHERE r.room_id = d.room_id) ORDER BY d.pos";
    OF_ROOM = "SELECT user_id FROM departures WHERE room_id = $1 AND pos > $2 ORDER BY pos";
    SOME_OF_ROOM = "SELECT user_id, pos FROM departures WHERE room_id = $1 AND pos > $2 ORDER BY pos LIMIT $3";
    COUNT_OF_ROOM = "SELECT count(*) FROM departures WHERE room_id = $1 AND pos > $2";
}

/// The forced leave of a user from a deleted room.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The id of the room.
    pub room_id: String,
    /// The position of the stream at which the user left.
    pub pos: Pos,
    /// The event of the leave, as JSON; `None` in the oldest rows.
    pub event: Option<String>,
}

/// A user who was made to leave a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForcedLeave {
    /// The user id.
    pub user_id: String,
    /// The position of the leave.
    pub pos: Pos,
}

/// Stores a forced leave.
pub fn put(tx: &mut Tx<'_>, user_id: &str, departure: &Departure) -> Result<(), DbError> {
    let Departure { room_id, pos, event } = departure;
    tx.execute(&PUT, &params![user_id, room_id, *pos, event.as_ref()])?;
    Ok(())
}

/// Returns the forced leaves of a user after a position.
pub fn of_user(tx: &ReadTx<'_>, user_id: &str, after: Pos) -> Result<Vec<Departure>, DbError> {
    tx.query(&OF_USER, &params![user_id, after], |row| {
        Ok(Departure { room_id: row.get(0)?, pos: row.get(1)?, event: row.get(2)? })
    })
}

/// Returns the users who were made to leave a room after a position.
pub fn of_room(tx: &ReadTx<'_>, room_id: &str, after: Pos) -> Result<Vec<String>, DbError> {
    tx.query(&OF_ROOM, &params![room_id, after], |row| row.get(0))
}

/// Returns some of the users who were made to leave a room after a position, in the order of their leaves.
pub fn some_of_room(
    tx: &ReadTx<'_>,
    room_id: &str,
    after: Pos,
    limit: i64,
) -> Result<Vec<ForcedLeave>, DbError> {
    tx.query(&SOME_OF_ROOM, &params![room_id, after, limit], |row| {
        Ok(ForcedLeave { user_id: row.get(0)?, pos: row.get(1)? })
    })
}

/// Returns the number of users who were made to leave a room after a position.
pub fn count_of_room(tx: &ReadTx<'_>, room_id: &str, after: Pos) -> Result<i64, DbError> {
    tx.query_one(&COUNT_OF_ROOM, &params![room_id, after], |row| row.get(0))
}
