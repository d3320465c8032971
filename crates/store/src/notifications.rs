//! Which events notify whom, as far as it is not the same for everybody in the room, and how many are unread. Whom they
//! do not notify although they do everybody is in [`crate::silences`].

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Pos, RoomNum, UserNum};
use serde_json::json;

use crate::silences;

macro_rules! of_user {
    ($engine:ident) => {
        concat!(
            "SELECT n.pos, n.notifies, e.notifies, CASE WHEN e.rel_type = 'm.thread' THEN e.relates_to END \
             FROM notifications n JOIN events e ON e.pos = n.pos WHERE n.user_id = $1 AND n.room_num = $2 AND n.pos > $3 AND ",
            heard!($engine, "e.sender", "$4")
        )
    };
}

macro_rules! unread {
    ($engine:ident) => {
        concat!(
            "SELECT CASE WHEN e.rel_type = 'm.thread' THEN e.relates_to END, count(*), \
             CAST(sum(CASE WHEN e.notifies = 2 THEN 1 ELSE 0 END) AS BIGINT) FROM ",
            ranges!($engine, "$2"),
            " WHERE e.room_num = $1 AND e.notifies > 0 AND ",
            heard!($engine, "e.sender", "$3"),
            " GROUP BY 1"
        )
    };
}

macro_rules! unread_in {
    ($engine:ident, $where:literal) => {
        concat!(
            "SELECT count(*), CAST(coalesce(sum(CASE WHEN e.notifies = 2 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM ",
            ranges!($engine, "$2"),
            " WHERE e.room_num = $1 AND e.notifies > 0 AND ",
            heard!($engine, "e.sender", "$3"),
            " AND ",
            $where
        )
    };
}

// What is noted for the user goes before what the event does for everybody.
macro_rules! notifying {
    ($engine:ident) => {
        concat!(
            "SELECT pos, notifies FROM events WHERE room_num = $2 AND pos > $3 AND pos < $4 AND notifies > 0 \
             AND notifies >= $5 AND ",
            heard!($engine, "sender", "$6"),
            " AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.user_id = $1 AND n.room_num = $2 AND n.pos = events.pos) \
             AND coalesce((SELECT s.upto_pos FROM silences s WHERE s.user_id = $1 AND s.room_num = $2 \
             AND s.from_pos <= events.pos ORDER BY s.from_pos DESC LIMIT 1), 0) < events.pos \
             UNION ALL SELECT n.pos, n.notifies FROM notifications n JOIN events e ON e.pos = n.pos \
             WHERE n.user_id = $1 AND n.room_num = $2 AND n.pos > $3 AND n.pos < $4 AND n.notifies >= $5 AND ",
            heard!($engine, "e.sender", "$6"),
            " ORDER BY 1 DESC LIMIT $7"
        )
    };
}

// Written so that the index of those with rules is used, and not the one of all members; and so that rules, which may be
// long, are not read to learn since when they are as they are.
macro_rules! with_rules {
    ($indexed:literal) => {
        concat!(
            "SELECT m.user_id, u.num, a.pos FROM memberships m JOIN users u ON u.user_id = m.user_id \
             JOIN account_data a ",
            $indexed,
            " ON a.user_num = u.num AND a.room_id = '' AND a.data_type = 'm.push_rules' \
             WHERE m.room_num = $1 AND m.own_rules = 1 AND m.membership || '' = 'join'"
        )
    };
}

reeve_db::statements! {
    INSERT = {
        sqlite: "INSERT INTO notifications (user_id, room_num, pos, notifies) SELECT value, $2, $3, $4 FROM json_each($1)",
        postgres: "INSERT INTO notifications (user_id, room_num, pos, notifies) SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)), \
                   CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT)",
    };
    DELETE = "DELETE FROM notifications WHERE pos = $1";
    OF_USER = { sqlite: of_user!(sqlite), postgres: of_user!(postgres) };
    NOTIFYING = { sqlite: notifying!(sqlite), postgres: notifying!(postgres) };
    UNREAD = { sqlite: unread!(sqlite), postgres: unread!(postgres) };
    UNREAD_MAIN = {
        sqlite: unread_in!(sqlite, "(e.rel_type IS NULL OR e.rel_type <> 'm.thread')"),
        postgres: unread_in!(postgres, "(e.rel_type IS NULL OR e.rel_type <> 'm.thread')"),
    };
    UNREAD_THREAD = {
        sqlite: unread_in!(sqlite, "e.rel_type = 'm.thread' AND e.relates_to = $4"),
        postgres: unread_in!(postgres, "e.rel_type = 'm.thread' AND e.relates_to = $4"),
    };
    OWN = "SELECT CASE WHEN rel_type = 'm.thread' THEN relates_to END, max(pos) FROM events \
           WHERE sender = $1 AND room_num = $2 AND pos > $3 GROUP BY 1";
    WITH_RULES = {
        sqlite: with_rules!("INDEXED BY account_data_push_rules"),
        postgres: with_rules!(""),
    };
    SET_WITH_RULES = "UPDATE memberships SET own_rules = 1 WHERE user_id = $1 AND own_rules = 0";
}

/// Notes that an event notifies some people (1), or stands out for them (2), other than it does for everybody.
pub fn insert(
    tx: &mut Tx<'_>,
    user_ids: &[String],
    room_num: RoomNum,
    pos: Pos,
    notifies: i64,
) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![json!(user_ids).to_string(), room_num, pos, notifies])?;
    Ok(())
}

/// Forgets whom an event notified.
pub fn delete(tx: &mut Tx<'_>, pos: Pos) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![pos])?;
    Ok(())
}

/// An event that notifies somebody otherwise than everybody.
#[derive(Clone, Debug)]
pub struct Exception {
    /// The position of the event.
    pub pos: Pos,
    /// Whether it notifies (1), or stands out (2).
    pub notifies: i64,
    /// What it does for everybody.
    pub usual: i64,
    /// The root of the thread it is in.
    pub thread: Option<String>,
}

/// The events of a room after a position that notify a user otherwise than everybody, but those by the senders in
/// `unheard`, an array as JSON.
pub fn of_user(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: RoomNum,
    since: Pos,
    unheard: &str,
) -> Result<Vec<Exception>, DbError> {
    tx.query(&OF_USER, &params![user_id, room_num, since, unheard], |row| {
        Ok(Exception { pos: row.get(0)?, notifies: row.get(1)?, usual: row.get(2)?, thread: row.get(3)? })
    })
}

/// The newest events of a room in `(after, before)` that notify a user at least so much, with how much; but those by the
/// senders in `unheard`, an array as JSON.
pub fn notifying(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: RoomNum,
    (after, before): (Pos, Pos),
    needed: i64,
    unheard: &str,
    limit: i64,
) -> Result<Vec<(Pos, i64)>, DbError> {
    // In a silence that has not ended there is nothing, and it may be long.
    let silences = silences::since(tx, user_id, room_num, after)?;
    let lasting = silences.last().filter(|(_, upto)| *upto == Pos::END);
    let before = lasting.map_or(before, |(from, _)| before.min(*from));
    tx.query(&NOTIFYING, &params![user_id, room_num, after, before, needed, unheard, limit], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Events in ranges of positions, both ends included, that usually notify, but those by the senders in `unheard`, an array
/// as JSON; by thread (`None` outside threads): how many, and how many of them stand out.
pub fn unread(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    ranges: &[(Pos, Pos)],
    unheard: &str,
) -> Result<Vec<(Option<String>, i64, i64)>, DbError> {
    tx.query(&UNREAD, &params![room_num, json!(ranges).to_string(), unheard], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
}

/// The same in one thread, or outside threads.
pub fn unread_in(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    ranges: &[(Pos, Pos)],
    unheard: &str,
    thread: Option<&str>,
) -> Result<(i64, i64), DbError> {
    let ranges = json!(ranges).to_string();
    match thread {
        None => tx.query_one(&UNREAD_MAIN, &params![room_num, ranges, unheard], |row| {
            Ok((row.get(0)?, row.get(1)?))
        }),
        Some(thread) => tx.query_one(&UNREAD_THREAD, &params![room_num, ranges, unheard, thread], |row| {
            Ok((row.get(0)?, row.get(1)?))
        }),
    }
}

/// The newest own events after a position, by thread.
pub fn own(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: RoomNum,
    since: Pos,
) -> Result<Vec<(Option<String>, Pos)>, DbError> {
    tx.query(&OWN, &params![user_id, room_num, since], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A member of a room who has push rules of their own.
#[derive(Clone, Debug)]
pub struct MemberWithRules {
    /// The user id.
    pub user_id: String,
    /// The number of the account.
    pub user_num: UserNum,
    /// Where in the stream the rules were set.
    pub pos: Pos,
}

/// The joined members of a room who have push rules of their own.
pub fn members_with_rules(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<Vec<MemberWithRules>, DbError> {
    tx.query(&WITH_RULES, &params![room_num], |row| {
        Ok(MemberWithRules { user_id: row.get(0)?, user_num: row.get(1)?, pos: row.get(2)? })
    })
}

/// Notes that a user has push rules of their own.
pub fn set_with_rules(tx: &mut Tx<'_>, user_id: &str) -> Result<(), DbError> {
    tx.execute(&SET_WITH_RULES, &params![user_id])?;
    Ok(())
}
