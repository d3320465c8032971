//! Alerts: the pushers that new entries of the stream may concern, and the unread notifications of a user.
//!
//! Nothing is queued when an event is sent. A follower of the stream marks the pushers' deliveries
//! ([`crate::deliveries`]). The notifications are read when they are delivered.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, Pos, PusherNum, RoomNum};

use crate::stream::{self, Span};

/// Events up to the larger of these positions are read, or are older than the membership.
macro_rules! beyond {
    () => {
        "m.since_pos, coalesce((SELECT max(r.event_pos) FROM receipts r WHERE r.room_num = m.room_num \
         AND r.user_id = $1 AND r.thread_id = ''), 0)"
    };
}

macro_rules! unread_rooms {
    ($max:literal) => {
        concat!("SELECT m.room_num FROM memberships m WHERE m.user_id = $1 AND m.membership = 'join' AND (\
                 EXISTS (SELECT 1 FROM events e WHERE e.room_num = m.room_num AND e.notifies > 0 \
                 AND e.pos > ", $max, "(", beyond!(), ") AND e.sender <> $1) \
                 OR EXISTS (SELECT 1 FROM notifications n WHERE n.user_id = $1 AND n.room_num = m.room_num \
                 AND n.pos > ", $max, "(", beyond!(), "))) ORDER BY m.room_num")
    };
}

reeve_db::statements! {
    POSITION = "SELECT pos FROM push_position";
    SET_POSITION = "UPDATE push_position SET pos = $1 WHERE pos < $1";
    /// Up to `$2` positions beyond `$1`, of which events are looked at.
    NOTIFYING_ROOMS = "SELECT DISTINCT room_num FROM events WHERE pos > $1 AND pos <= $2 AND notifies > 0";
    /// `pushes` is set of joined members only.
    OF_ROOM = "SELECT p.num FROM memberships m JOIN users u ON u.user_id = m.user_id JOIN pushers p ON p.user_num = u.num \
               WHERE m.room_num = $1 AND m.pushes = 1";
    OF_USER = "SELECT p.num FROM users u JOIN pushers p ON p.user_num = u.num WHERE u.user_id = $1";
    /// Events that notify the user, beyond a position, the oldest first. Those that notify everybody may notify the user
    /// otherwise.
    PENDING = "SELECT e.pos, e.room_num FROM memberships m JOIN events e ON e.room_num = m.room_num AND e.notifies > 0 \
               AND e.pos > $2 WHERE m.user_id = $1 AND m.membership = 'join' AND e.pos > m.since_pos AND e.sender <> $1 \
               AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.user_id = $1 AND n.room_num = e.room_num \
               AND n.pos = e.pos) \
               AND coalesce((SELECT s.upto_pos FROM silences s WHERE s.user_id = $1 AND s.room_num = e.room_num \
               AND s.from_pos <= e.pos ORDER BY s.from_pos DESC LIMIT 1), 0) < e.pos \
               UNION ALL SELECT n.pos, n.room_num FROM notifications n WHERE n.user_id = $1 AND n.pos > $2 \
               ORDER BY 1 LIMIT $3";
    UNREAD_ROOMS = { sqlite: unread_rooms!("max"), postgres: unread_rooms!("GREATEST") };
    MAILED = "SELECT sent_ts, wait_ms FROM mailed_rooms WHERE pusher_num = $1 AND room_num = $2";
    SET_MAILED = "INSERT INTO mailed_rooms (pusher_num, room_num, sent_ts, wait_ms) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (pusher_num, room_num) DO UPDATE SET sent_ts = excluded.sent_ts, wait_ms = excluded.wait_ms";
    PRUNE_MAILED = "DELETE FROM mailed_rooms WHERE sent_ts < $1";
}

/// Returns the position up to which pushers were marked.
pub fn position(tx: &ReadTx<'_>) -> Result<Pos, DbError> {
    tx.query_one(&POSITION, &params![], |row| row.get(0))
}

/// Stores the position up to which pushers were marked.
pub fn set_position(tx: &mut Tx<'_>, pos: Pos) -> Result<(), DbError> {
    tx.execute(&SET_POSITION, &params![pos])?;
    Ok(())
}

/// Returns the pushers that a span of the stream may concern: they have an event to tell, or their owner has read,
/// written, come or gone.
pub fn concerned(tx: &ReadTx<'_>, span: Span) -> Result<Vec<PusherNum>, DbError> {
    let mut found = Vec::new();
    for room in tx.query(&NOTIFYING_ROOMS, &params![span.after, span.upto], |row| row.get::<RoomNum>(0))? {
        found.extend(tx.query(&OF_ROOM, &params![room], |row| row.get::<PusherNum>(0))?);
    }
    for user_id in stream::owners_of_pushers(tx, span)? {
        found.extend(tx.query(&OF_USER, &params![&user_id], |row| row.get::<PusherNum>(0))?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Returns the events beyond a position that notify a user, read or not, by position and room; the oldest first.
pub fn pending(
    tx: &ReadTx<'_>,
    user_id: &str,
    after: Pos,
    most: i64,
) -> Result<Vec<(Pos, RoomNum)>, DbError> {
    tx.query(&PENDING, &params![user_id, after, most], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns the joined rooms in which a user may have something unread; receipts in threads are not looked at.
pub fn unread_rooms(tx: &ReadTx<'_>, user_id: &str) -> Result<Vec<RoomNum>, DbError> {
    tx.query(&UNREAD_ROOMS, &params![user_id], |row| row.get(0))
}

/// The last mail of a pusher about a room.
#[derive(Clone, Copy, Debug)]
pub struct Mailed {
    /// The time of the mail.
    pub sent_ts: Millis,
    /// The time from the mail until the room may cause another, in milliseconds.
    pub wait_ms: i64,
}

/// Returns the last mail of a pusher about a room.
pub fn mailed(tx: &ReadTx<'_>, pusher: PusherNum, room_num: RoomNum) -> Result<Option<Mailed>, DbError> {
    tx.query_opt(&MAILED, &params![pusher, room_num], |row| {
        Ok(Mailed { sent_ts: row.get(0)?, wait_ms: row.get(1)? })
    })
}

/// Stores the last mail of a pusher about a room.
pub fn set_mailed(
    tx: &mut Tx<'_>,
    pusher: PusherNum,
    room_num: RoomNum,
    mailed: Mailed,
) -> Result<(), DbError> {
    tx.execute(&SET_MAILED, &params![pusher, room_num, mailed.sent_ts, mailed.wait_ms])?;
    Ok(())
}

/// Deletes the records of mails that were sent before a time.
pub fn prune_mailed(tx: &mut Tx<'_>, before: Millis) -> Result<(), DbError> {
    tx.execute(&PRUNE_MAILED, &params![before])?;
    Ok(())
}
