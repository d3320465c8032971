//! The ages of messages, and how far those that lived long enough were deleted.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, Pos, RoomNum};

macro_rules! with_own {
    ($index:literal) => {
        concat!(
            "SELECT room_num FROM events ",
            $index,
            " WHERE event_type = 'm.room.retention' AND state_key = '' AND until_pos = 9223372036854775807 \
             AND room_num > $1 ORDER BY room_num LIMIT $2"
        )
    };
}

reeve_db::statements! {
    WITH_OWN = { sqlite: with_own!("INDEXED BY events_lifetimes"), postgres: with_own!("") };
    ROOMS = "SELECT num FROM rooms WHERE num > $1 ORDER BY num LIMIT $2";
    AGES = "SELECT pos, ts, until_pos FROM events WHERE room_num = $1 AND pos >= $2 ORDER BY pos LIMIT $3";
    EXPIRED_POS = "SELECT expired_pos FROM rooms WHERE num = $1";
    /// Nobody's timeline has what was purged.
    SET_EXPIRED = "UPDATE rooms SET expired_pos = $2, purged_pos = CASE WHEN purged_pos < $2 THEN $2 ELSE purged_pos END \
                   WHERE num = $1 AND expired_pos < $2";
}

/// Returns some of the rooms whose state has a lifetime of messages, after a number.
pub fn rooms_with_own(tx: &ReadTx<'_>, after: RoomNum, limit: i64) -> Result<Vec<RoomNum>, DbError> {
    tx.query(&WITH_OWN, &params![after, limit], |row| row.get(0))
}

/// Returns some of all rooms, after a number.
pub fn rooms(tx: &ReadTx<'_>, after: RoomNum, limit: i64) -> Result<Vec<RoomNum>, DbError> {
    tx.query(&ROOMS, &params![after, limit], |row| row.get(0))
}

/// The age of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Its position.
    pub pos: Pos,
    /// Its time.
    pub ts: Millis,
    /// True if it sets state, also if another event replaced that.
    pub sets_state: bool,
}

/// Returns the ages of some events of a room from a position on, the oldest first.
pub fn ages(tx: &ReadTx<'_>, room_num: RoomNum, from: Pos, limit: i64) -> Result<Vec<Age>, DbError> {
    tx.query(&AGES, &params![room_num, from, limit], |row| {
        let until_pos: Option<Pos> = row.get(2)?;
        Ok(Age { pos: row.get(0)?, ts: row.get(1)?, sets_state: until_pos.is_some() })
    })
}

/// Returns the position before which the messages of a room were deleted since they had lived long enough; `None` if the
/// room is gone.
pub fn expired_pos(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<Option<Pos>, DbError> {
    tx.query_opt(&EXPIRED_POS, &params![room_num], |row| row.get(0))
}

/// Sets the position before which the messages of a room were deleted since they had lived long enough. Everything before it
/// leaves all timelines.
pub fn set_expired(tx: &mut Tx<'_>, room_num: RoomNum, pos: Pos) -> Result<(), DbError> {
    tx.execute(&SET_EXPIRED, &params![room_num, pos])?;
    Ok(())
}
