//! Which pushers have something to tell, how far each is, and who works on it.
//!
//! Nothing is queued when an event is sent. Whoever follows the stream marks the pushers that new events, receipts and
//! memberships may concern; what there is to tell is looked up when it is told.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, Pos, RoomNum, UserNum};

use crate::pushers::{self, Pusher, columns};
use crate::sql::num_list;
use crate::stream::{self, Span};

/// What receipts count for, and since when: events up to there are read or were before one's time.
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
    /// Only who has joined is noted to have pushers.
    OF_ROOM = "SELECT p.num FROM memberships m JOIN users u ON u.user_id = m.user_id JOIN pushers p ON p.user_num = u.num \
               WHERE m.room_num = $1 AND m.pushes = 1";
    OF_USER = "SELECT p.num FROM users u JOIN pushers p ON p.user_num = u.num WHERE u.user_id = $1";
    /// `$1`: numbers, in the form of [`num_list`]. An e-mail pusher that waits looks again how long.
    MARK = {
        sqlite: "UPDATE pushers SET marks = marks + 1, due_ts = CASE WHEN due_ts IS NULL \
                 OR (kind = 'email' AND claim IS NULL AND failures = 0) THEN $2 ELSE due_ts END \
                 WHERE num IN (SELECT value FROM json_each($1))",
        postgres: "UPDATE pushers SET marks = marks + 1, due_ts = CASE WHEN due_ts IS NULL \
                   OR (kind = 'email' AND claim IS NULL AND failures = 0) THEN $2 ELSE due_ts END \
                   WHERE num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
    IS_DUE = "SELECT num FROM pushers WHERE due_ts <= $1 LIMIT 1";
    CLAIM = concat!("UPDATE pushers SET claim = $2, due_ts = $3 WHERE num IN \
             (SELECT num FROM pushers WHERE due_ts <= $1 ORDER BY due_ts LIMIT $4) RETURNING ", columns!(),
             ", num, user_num, updated_ts, last_pos, told_unread, failures, failing_since_ts");
    MARKS = "SELECT marks FROM pushers WHERE num = $1 AND claim = $2";
    /// More is to come: keeps the claim.
    ADVANCE = "UPDATE pushers SET last_pos = $3, told_unread = $4, due_ts = $5, failures = 0, failing_since_ts = NULL \
               WHERE num = $1 AND claim = $2";
    /// Gives the claim back; what was marked meanwhile is due at once.
    SETTLE = "UPDATE pushers SET last_pos = $3, told_unread = $4, failures = 0, failing_since_ts = NULL, claim = NULL, \
              due_ts = CASE WHEN marks = $5 THEN CAST($6 AS BIGINT) ELSE CAST($7 AS BIGINT) END WHERE num = $1 AND claim = $2";
    FAIL = "UPDATE pushers SET failures = failures + 1, failing_since_ts = coalesce(failing_since_ts, $3), due_ts = $4, \
            claim = NULL WHERE num = $1 AND claim = $2";
    RELEASE = "UPDATE pushers SET due_ts = $3, claim = NULL WHERE num = $1 AND claim = $2";
    REMOVE = "DELETE FROM pushers WHERE num = $1 AND claim = $2";
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

/// A pusher that somebody works on.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The number of the pusher.
    pub num: i64,
    /// The account.
    pub user_num: UserNum,
    /// What it is.
    pub pusher: Pusher,
    /// When its key was last set, in milliseconds.
    pub updated_ts: Millis,
    /// Up to where it has told everything.
    pub last_pos: Pos,
    /// How much it last told to be unread.
    pub told_unread: i64,
    /// How often it failed in a row.
    pub failures: i64,
    /// Since when, in milliseconds.
    pub failing_since_ts: Option<Millis>,
}

fn claimed(row: &Row<'_>) -> Result<Claimed, DbError> {
    Ok(Claimed {
        pusher: pushers::from_row(row)?,
        num: row.get(10)?,
        user_num: row.get(11)?,
        updated_ts: row.get(12)?,
        last_pos: row.get(13)?,
        told_unread: row.get(14)?,
        failures: row.get(15)?,
        failing_since_ts: row.get(16)?,
    })
}

/// Up to which position pushers were marked.
pub fn position(tx: &ReadTx<'_>) -> Result<Pos, DbError> {
    tx.query_one(&POSITION, &params![], |row| row.get(0))
}

/// Notes that pushers were marked up to a position.
pub fn set_position(tx: &mut Tx<'_>, pos: Pos) -> Result<(), DbError> {
    tx.execute(&SET_POSITION, &params![pos])?;
    Ok(())
}

/// The pushers that a stretch of the stream may concern: that have an event to tell, or whose owner has read, written,
/// come or gone.
pub fn concerned(tx: &ReadTx<'_>, span: Span) -> Result<Vec<i64>, DbError> {
    let mut found = Vec::new();
    for room in tx.query(&NOTIFYING_ROOMS, &params![span.after, span.upto], |row| row.get::<RoomNum>(0))? {
        found.extend(tx.query(&OF_ROOM, &params![room], |row| row.get::<i64>(0))?);
    }
    for user_id in stream::owners_of_pushers(tx, span)? {
        found.extend(tx.query(&OF_USER, &params![&user_id], |row| row.get::<i64>(0))?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Marks pushers: there may be something to tell.
pub fn mark(tx: &mut Tx<'_>, nums: &[i64], now: Millis) -> Result<(), DbError> {
    let list = num_list(tx.engine(), nums);
    tx.execute(&MARK, &params![&list, now])?;
    Ok(())
}

/// Whether a pusher is due.
pub fn is_due(tx: &ReadTx<'_>, now: Millis) -> Result<bool, DbError> {
    Ok(tx.query_opt(&IS_DUE, &params![now], |row| row.get::<i64>(0))?.is_some())
}

/// Takes up to `most` pushers that are due, until a time.
pub fn claim(
    tx: &mut Tx<'_>,
    claim: &str,
    now: Millis,
    until: Millis,
    most: i64,
) -> Result<Vec<Claimed>, DbError> {
    tx.returning(&CLAIM, &params![now, claim, until, most], claimed)
}

/// What a claimed pusher was marked with; `None` if the claim no longer holds.
pub fn marks(tx: &ReadTx<'_>, num: i64, claim: &str) -> Result<Option<i64>, DbError> {
    tx.query_opt(&MARKS, &params![num, claim], |row| row.get(0))
}

/// How far a pusher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Up to where it has told everything.
    pub pos: Pos,
    /// How much it told to be unread.
    pub unread: i64,
}

/// Notes how far a claimed pusher is, and keeps it claimed.
pub fn advance(
    tx: &mut Tx<'_>,
    num: i64,
    claim: &str,
    progress: Progress,
    until: Millis,
) -> Result<(), DbError> {
    tx.execute(&ADVANCE, &params![num, claim, progress.pos, progress.unread, until])?;
    Ok(())
}

/// Notes how far a claimed pusher is, and gives it back: it rests until `next`, or until it is marked; if it was marked
/// since it had `marks`, it is due.
pub fn settle(
    tx: &mut Tx<'_>,
    num: i64,
    claim: &str,
    progress: Progress,
    marks: i64,
    next: Option<Millis>,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&SETTLE, &params![num, claim, progress.pos, progress.unread, marks, next, now])?;
    Ok(())
}

/// Notes that a claimed pusher failed, and gives it back until a time.
pub fn fail(tx: &mut Tx<'_>, num: i64, claim: &str, now: Millis, until: Millis) -> Result<(), DbError> {
    tx.execute(&FAIL, &params![num, claim, now, until])?;
    Ok(())
}

/// Gives a claimed pusher back as it was.
pub fn release(tx: &mut Tx<'_>, num: i64, claim: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&RELEASE, &params![num, claim, now])?;
    Ok(())
}

/// Deletes a claimed pusher.
pub fn remove(tx: &mut Tx<'_>, num: i64, claim: &str) -> Result<(), DbError> {
    tx.execute(&REMOVE, &params![num, claim])?;
    Ok(())
}

/// Events beyond a position that notify a user, read or not, by position and room; the oldest first.
pub fn pending(
    tx: &ReadTx<'_>,
    user_id: &str,
    after: Pos,
    most: i64,
) -> Result<Vec<(Pos, RoomNum)>, DbError> {
    tx.query(&PENDING, &params![user_id, after, most], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The joined rooms in which a user may have something unread; what was read in threads is not looked at.
pub fn unread_rooms(tx: &ReadTx<'_>, user_id: &str) -> Result<Vec<RoomNum>, DbError> {
    tx.query(&UNREAD_ROOMS, &params![user_id], |row| row.get(0))
}

/// When an e-mail pusher last wrote about a room, and how long it waits since, in milliseconds.
pub fn mailed(tx: &ReadTx<'_>, num: i64, room_num: RoomNum) -> Result<Option<(Millis, i64)>, DbError> {
    tx.query_opt(&MAILED, &params![num, room_num], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Notes that an e-mail pusher wrote about a room.
pub fn set_mailed(
    tx: &mut Tx<'_>,
    num: i64,
    room_num: RoomNum,
    now: Millis,
    wait_ms: i64,
) -> Result<(), DbError> {
    tx.execute(&SET_MAILED, &params![num, room_num, now, wait_ms])?;
    Ok(())
}

/// Forgets what was written before a time.
pub fn prune_mailed(tx: &mut Tx<'_>, before: Millis) -> Result<(), DbError> {
    tx.execute(&PRUNE_MAILED, &params![before])?;
    Ok(())
}
