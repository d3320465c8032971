//! Which events notify whom, as far as it is not the same for everybody in the room, and how many are unread.

use reeve_db::{DbError, ReadTx, Tx, params};

reeve_db::statements! {
    INSERT = "INSERT INTO notifications (user_id, room_num, pos, notifies) VALUES ($1, $2, $3, $4)";
    DELETE = "DELETE FROM notifications WHERE pos = $1";
    OF_USER = "SELECT n.pos, n.notifies, e.notifies, CASE WHEN e.rel_type = 'm.thread' THEN e.relates_to END \
               FROM notifications n JOIN events e ON e.pos = n.pos WHERE n.user_id = $1 AND n.room_num = $2 AND n.pos > $3";
    ONE = "SELECT notifies FROM notifications WHERE user_id = $1 AND room_num = $2 AND pos = $3";
    UNREAD = "SELECT CASE WHEN rel_type = 'm.thread' THEN relates_to END, count(*), \
              CAST(sum(CASE WHEN notifies = 2 THEN 1 ELSE 0 END) AS BIGINT) FROM events \
              WHERE room_num = $1 AND pos > $2 AND sender <> $3 AND notifies > 0 GROUP BY 1";
    UNREAD_MAIN = "SELECT count(*), CAST(coalesce(sum(CASE WHEN notifies = 2 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM events \
                   WHERE room_num = $1 AND pos > $2 AND sender <> $3 AND notifies > 0 \
                   AND (rel_type IS NULL OR rel_type <> 'm.thread')";
    UNREAD_THREAD = "SELECT count(*), CAST(coalesce(sum(CASE WHEN notifies = 2 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM events \
                     WHERE room_num = $1 AND pos > $2 AND sender <> $3 AND notifies > 0 \
                     AND rel_type = 'm.thread' AND relates_to = $4";
    OWN = "SELECT CASE WHEN rel_type = 'm.thread' THEN relates_to END, max(pos) FROM events \
           WHERE sender = $1 AND room_num = $2 AND pos > $3 GROUP BY 1";
    /// Written so that the index of those with rules is used, and not the one of all members.
    WITH_RULES = "SELECT user_id FROM memberships WHERE room_num = $1 AND own_rules = 1 AND membership || '' = 'join'";
    SET_WITH_RULES = "UPDATE memberships SET own_rules = 1 WHERE user_id = $1";
}

/// Notes that an event notifies somebody otherwise than it does everybody.
pub fn insert(tx: &mut Tx<'_>, user_id: &str, room_num: i64, pos: i64, notifies: i64) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![user_id, room_num, pos, notifies])?;
    Ok(())
}

/// Forgets whom an event notified.
pub fn delete(tx: &mut Tx<'_>, pos: i64) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![pos])?;
    Ok(())
}

/// An event that notifies somebody otherwise than everybody.
#[derive(Clone, Debug)]
pub struct Exception {
    /// The position of the event.
    pub pos: i64,
    /// Whether it notifies (1), or stands out (2).
    pub notifies: i64,
    /// What it does for everybody.
    pub usual: i64,
    /// The root of the thread it is in.
    pub thread: Option<String>,
}

/// The events of a room after a position that notify a user otherwise than everybody.
pub fn of_user(tx: &ReadTx<'_>, user_id: &str, room_num: i64, since: i64) -> Result<Vec<Exception>, DbError> {
    tx.query(&OF_USER, &params![user_id, room_num, since], |row| {
        Ok(Exception { pos: row.get(0)?, notifies: row.get(1)?, usual: row.get(2)?, thread: row.get(3)? })
    })
}

/// What an event does for a user, if not what it does for everybody.
pub fn one(tx: &ReadTx<'_>, user_id: &str, room_num: i64, pos: i64) -> Result<Option<i64>, DbError> {
    tx.query_opt(&ONE, &params![user_id, room_num, pos], |row| row.get(0))
}

/// Events by others after a position that usually notify, by thread (`None` outside threads): how many, and how many
/// of them stand out.
pub fn unread(
    tx: &ReadTx<'_>,
    room_num: i64,
    since: i64,
    user_id: &str,
) -> Result<Vec<(Option<String>, i64, i64)>, DbError> {
    tx.query(&UNREAD, &params![room_num, since, user_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// The same in one thread, or outside threads.
pub fn unread_in(
    tx: &ReadTx<'_>,
    room_num: i64,
    since: i64,
    user_id: &str,
    thread: Option<&str>,
) -> Result<(i64, i64), DbError> {
    match thread {
        None => tx.query_one(&UNREAD_MAIN, &params![room_num, since, user_id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        }),
        Some(thread) => tx.query_one(&UNREAD_THREAD, &params![room_num, since, user_id, thread], |row| {
            Ok((row.get(0)?, row.get(1)?))
        }),
    }
}

/// The newest own events after a position, by thread.
pub fn own(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: i64,
    since: i64,
) -> Result<Vec<(Option<String>, i64)>, DbError> {
    tx.query(&OWN, &params![user_id, room_num, since], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The joined members of a room who have push rules of their own.
pub fn members_with_rules(tx: &ReadTx<'_>, room_num: i64) -> Result<Vec<String>, DbError> {
    tx.query(&WITH_RULES, &params![room_num], |row| row.get(0))
}

/// Notes that a user has push rules of their own.
pub fn set_with_rules(tx: &mut Tx<'_>, user_id: &str) -> Result<(), DbError> {
    tx.execute(&SET_WITH_RULES, &params![user_id])?;
    Ok(())
}
