//! Who was made to leave rooms that were deleted.

use reeve_db::{DbError, ReadTx, Tx, params};

reeve_db::statements! {
    PUT = "INSERT INTO departures (user_id, room_id, pos) VALUES ($1, $2, $3) \
           ON CONFLICT (user_id, room_id) DO UPDATE SET pos = excluded.pos";
    OF_USER = "SELECT d.room_id, d.pos FROM departures d WHERE d.user_id = $1 AND d.pos > $2 \
               AND NOT EXISTS (SELECT 1 FROM rooms r WHERE r.room_id = d.room_id) ORDER BY d.pos";
    OF_ROOM = "SELECT user_id FROM departures WHERE room_id = $1 AND pos > $2 ORDER BY pos";
}

/// Notes that somebody was made to leave a room at a position of the stream.
pub fn put(tx: &mut Tx<'_>, user_id: &str, room_id: &str, pos: i64) -> Result<(), DbError> {
    tx.execute(&PUT, &params![user_id, room_id, pos])?;
    Ok(())
}

/// The rooms that are no more and that a user was made to leave after a position, with the position.
pub fn of_user(tx: &ReadTx<'_>, user_id: &str, after: i64) -> Result<Vec<(String, i64)>, DbError> {
    tx.query(&OF_USER, &params![user_id, after], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Who was made to leave a room after a position.
pub fn of_room(tx: &ReadTx<'_>, room_id: &str, after: i64) -> Result<Vec<String>, DbError> {
    tx.query(&OF_ROOM, &params![room_id, after], |row| row.get(0))
}
