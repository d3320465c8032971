//! Changes of devices and keys, and of the users who share rooms, by which clients know whose keys to query.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Pos, RoomNum, UserNum};

use crate::stream;

// True if the user $1 and another have joined the same room.
macro_rules! shares {
    ($other:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM memberships a JOIN memberships b ON b.room_num = a.room_num AND b.user_id = $1 \
             AND b.membership = 'join' WHERE a.user_id = ",
            $other,
            " AND a.membership = 'join')"
        )
    };
}

// True if a user was in the room $2 at the position $3.
macro_rules! was_there {
    ($who:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM events e WHERE e.room_num = $2 AND e.event_type = 'm.room.member' AND e.state_key = ",
            $who,
            " AND e.until_pos > $3 AND e.pos <= $3 AND e.membership = 'join')"
        )
    };
}

reeve_db::statements! {
    MARK = "INSERT INTO device_changes (user_id, pos) SELECT user_id, CAST($2 AS BIGINT) FROM users WHERE num = $1 \
            ON CONFLICT (user_id) DO UPDATE SET pos = excluded.pos";
    CHANGED = concat!("SELECT c.user_id FROM device_changes c WHERE c.pos > $2 AND c.pos <= $3 AND (c.user_id = $1 OR ",
               shares!("c.user_id"), ") ORDER BY c.user_id");
    JOINED_SINCE = "SELECT user_id FROM memberships WHERE room_num = $1 AND membership = 'join' AND since_pos > $2";
    LEFT_SINCE = concat!("SELECT m.user_id FROM memberships m WHERE m.room_num = $2 \
            AND m.membership IN ('ban', 'invite', 'knock', 'leave') AND m.since_pos > $3 AND m.user_id <> $1 AND ",
            was_there!("m.user_id"), " AND NOT ", shares!("m.user_id"));
    LEFT_AT = "SELECT max(until_pos) FROM events WHERE room_num = $2 AND event_type = 'm.room.member' AND state_key = $1 \
               AND until_pos > $3 AND membership = 'join'";
    LEFT_BEHIND = concat!("SELECT m.user_id FROM memberships m WHERE m.room_num = $2 AND m.membership = 'join' AND ",
                   was_there!("m.user_id"), " AND NOT ", shares!("m.user_id"));
    WAS_THERE = concat!("SELECT 1 WHERE ", was_there!("$1"));
    DEPARTED = concat!("SELECT d.user_id FROM departures d WHERE d.room_id = $2 AND d.pos > $3 AND d.user_id <> $1 AND NOT ",
                shares!("d.user_id"));
}

/// Stores that the devices or keys of an account changed; returns the position in the stream.
pub fn mark(tx: &mut Tx<'_>, user_num: UserNum) -> Result<Pos, DbError> {
    let pos = stream::next(tx)?;
    tx.execute(&MARK, &params![user_num, pos])?;
    Ok(pos)
}

/// Returns the users whose devices or keys changed in `(since, upto]`, among those who share a room with a user;
/// perhaps the user too.
pub fn changed(tx: &ReadTx<'_>, user_id: &str, since: Pos, upto: Pos) -> Result<Vec<String>, DbError> {
    tx.query(&CHANGED, &params![user_id, since, upto], |row| row.get(0))
}

/// Returns the users who joined a room after a position.
pub fn joined_since(tx: &ReadTx<'_>, room_num: RoomNum, since: Pos) -> Result<Vec<String>, DbError> {
    tx.query(&JOINED_SINCE, &params![room_num, since], |row| row.get(0))
}

/// Returns the users who were in a room at a position and left it afterwards, among those who share no other room with
/// a user.
pub fn left_since(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: RoomNum,
    since: Pos,
) -> Result<Vec<String>, DbError> {
    tx.query(&LEFT_SINCE, &params![user_id, room_num, since], |row| row.get(0))
}

/// Returns the users who are in a room that a user left after a position, and were there then, among those who share no
/// other room with the user.
pub fn left_behind(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: RoomNum,
    since: Pos,
) -> Result<Vec<String>, DbError> {
    let left: Option<Pos> = tx.query_one(&LEFT_AT, &params![user_id, room_num, since], |row| row.get(0))?;
    let Some(left) = left else { return Ok(Vec::new()) };
    tx.query(&LEFT_BEHIND, &params![user_id, room_num, left], |row| row.get(0))
}

/// Returns true if a user was in a room at a position.
pub fn was_there(tx: &ReadTx<'_>, user_id: &str, room_num: RoomNum, at: Pos) -> Result<bool, DbError> {
    Ok(tx.query_opt(&WAS_THERE, &params![user_id, room_num, at], |_| Ok(()))?.is_some())
}

/// Returns the other users who were made to leave a deleted room after a position, among those who share no other room
/// with a user.
pub fn departed(tx: &ReadTx<'_>, user_id: &str, room_id: &str, since: Pos) -> Result<Vec<String>, DbError> {
    tx.query(&DEPARTED, &params![user_id, room_id, since], |row| row.get(0))
}
