//! Notifications that differ from what an event does for everybody in its room, and counts of unread events. Intervals
//! in which a room is muted for a user are in [`crate::silences`].

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Effect, Pos, RoomNum, UserNum};
use serde_json::json;

use crate::silences;
use crate::sql::span_list;
use crate::stream::Span;

macro_rules! of_user {
    ($engine:ident) => {
        concat!(
            "SELECT n.pos, n.notifies, e.notifies, CASE WHEN e.rel_type = 'm.thread' THEN e.relates_to END \
             FROM notifications n JOIN events e ON e.pos = n.pos WHERE n.user_id = $1 AND n.room_num = $2 AND n.pos > $3 AND ",
            sender_not_in!($engine, "e.sender", "$4")
        )
    };
}

macro_rules! unread {
    ($engine:ident) => {
        concat!(
            "SELECT CASE WHEN e.rel_type = 'm.thread' THEN e.relates_to END, count(*), \
             CAST(sum(CASE WHEN e.notifies = 2 THEN 1 ELSE 0 END) AS BIGINT) FROM ",
            events_in!($engine, "$2"),
            " WHERE e.room_num = $1 AND e.notifies > 0 AND ",
            sender_not_in!($engine, "e.sender", "$3"),
            " GROUP BY 1"
        )
    };
}

macro_rules! unread_in {
    ($engine:ident, $where:literal) => {
        concat!(
            "SELECT count(*), CAST(coalesce(sum(CASE WHEN e.notifies = 2 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM ",
            events_in!($engine, "$2"),
            " WHERE e.room_num = $1 AND e.notifies > 0 AND ",
            sender_not_in!($engine, "e.sender", "$3"),
            " AND ",
            $where
        )
    };
}

// An exception for the user takes precedence over what the event does for everybody.
macro_rules! notifying {
    ($engine:ident) => {
        concat!(
            "SELECT pos, notifies FROM events WHERE room_num = $2 AND pos > $3 AND pos < $4 AND notifies > 0 \
             AND notifies >= $5 AND ",
            sender_not_in!($engine, "sender", "$6"),
            " AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.user_id = $1 AND n.room_num = $2 AND n.pos = events.pos) \
             AND coalesce((SELECT s.upto_pos FROM silences s WHERE s.user_id = $1 AND s.room_num = $2 \
             AND s.from_pos <= events.pos ORDER BY s.from_pos DESC LIMIT 1), 0) < events.pos \
             UNION ALL SELECT n.pos, n.notifies FROM notifications n JOIN events e ON e.pos = n.pos \
             WHERE n.user_id = $1 AND n.room_num = $2 AND n.pos > $3 AND n.pos < $4 AND n.notifies >= $5 AND ",
            sender_not_in!($engine, "e.sender", "$6"),
            " ORDER BY 1 DESC LIMIT $7"
        )
    };
}

// The concatenation keeps the engine from the index of all members. Rules, which may be long, are not read here: their
// position suffices.
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

/// Adds the effect of an event on some users, which is another than that on everybody.
pub fn insert(
    tx: &mut Tx<'_>,
    user_ids: &[String],
    room_num: RoomNum,
    pos: Pos,
    effect: Effect,
) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![json!(user_ids).to_string(), room_num, pos, effect])?;
    Ok(())
}

/// Deletes the exceptions of an event.
pub fn delete(tx: &mut Tx<'_>, pos: Pos) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![pos])?;
    Ok(())
}

/// An event with another effect on a user than on everybody.
#[derive(Clone, Debug)]
pub struct Exception {
    /// The position of the event.
    pub pos: Pos,
    /// Its effect on the user.
    pub effect: Effect,
    /// Its effect on everybody.
    pub usual: Effect,
    /// The root of the thread it is in.
    pub thread: Option<String>,
}

/// Returns the exceptions of a user in a room after a position, without events by the senders in `excluded`, a JSON
/// array.
pub fn of_user(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: RoomNum,
    since: Pos,
    excluded: &str,
) -> Result<Vec<Exception>, DbError> {
    tx.query(&OF_USER, &params![user_id, room_num, since, excluded], |row| {
        Ok(Exception { pos: row.get(0)?, effect: row.get(1)?, usual: row.get(2)?, thread: row.get(3)? })
    })
}

/// The notifications to look for in a room.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// They come after this position.
    pub after: Pos,
    /// They come before this position.
    pub before: Pos,
    /// They have at least this effect.
    pub at_least: Effect,
    /// Senders whose events do not count, as a JSON array.
    pub excluded: &'a str,
    /// The maximum number.
    pub limit: i64,
}

/// An event that notifies a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notifying {
    /// The position of the event.
    pub pos: Pos,
    /// Its effect on the user.
    pub effect: Effect,
}

/// Returns the events of a room that notify a user, the newest first.
pub fn notifying(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: RoomNum,
    wanted: Wanted<'_>,
) -> Result<Vec<Notifying>, DbError> {
    let Wanted { after, before, at_least, excluded, limit } = wanted;
    // Nothing notifies in an open mute interval, which may be long.
    let silences = silences::since(tx, user_id, room_num, after)?;
    let open = silences.last().filter(|silence| silence.upto == Pos::END);
    let before = open.map_or(before, |silence| before.min(silence.from));
    tx.query(&NOTIFYING, &params![user_id, room_num, after, before, at_least, excluded, limit], |row| {
        Ok(Notifying { pos: row.get(0)?, effect: row.get(1)? })
    })
}

/// Counts of events that notify everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub notifying: i64,
    /// Highlights among them.
    pub highlights: i64,
}

/// Counts, by thread, the events in spans of the stream that notify everybody, without those by the senders in
/// `excluded`, a JSON array. `None` counts what is outside threads.
pub fn unread(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    spans: &[Span],
    excluded: &str,
) -> Result<Vec<(Option<String>, Counts)>, DbError> {
    tx.query(&UNREAD, &params![room_num, span_list(spans), excluded], |row| {
        Ok((row.get(0)?, Counts { notifying: row.get(1)?, highlights: row.get(2)? }))
    })
}

/// Counts the same in one thread, or outside threads.
pub fn unread_in(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    spans: &[Span],
    excluded: &str,
    thread: Option<&str>,
) -> Result<Counts, DbError> {
    let (spans, counts) =
        (span_list(spans), |row: &Row<'_>| Ok(Counts { notifying: row.get(0)?, highlights: row.get(1)? }));
    match thread {
        None => tx.query_one(&UNREAD_MAIN, &params![room_num, spans, excluded], counts),
        Some(thread) => tx.query_one(&UNREAD_THREAD, &params![room_num, spans, excluded, thread], counts),
    }
}

/// Returns the position of the user's own newest event after a position, by thread.
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
    /// The position in the stream at which the rules were set.
    pub pos: Pos,
}

/// Returns the joined members of a room who have push rules of their own.
pub fn members_with_rules(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<Vec<MemberWithRules>, DbError> {
    tx.query(&WITH_RULES, &params![room_num], |row| {
        Ok(MemberWithRules { user_id: row.get(0)?, user_num: row.get(1)?, pos: row.get(2)? })
    })
}

/// Marks the memberships of a user who has push rules of their own.
pub fn set_with_rules(tx: &mut Tx<'_>, user_id: &str) -> Result<(), DbError> {
    tx.execute(&SET_WITH_RULES, &params![user_id])?;
    Ok(())
}
