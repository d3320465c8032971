//! Threads, and the replies in them.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Pos, RoomNum};

use crate::sql::span_list;
use crate::stream::Span;

/// The events `e` in spans `$2` that are replies in thread `$1` and were not redacted.
macro_rules! replies {
    ($engine:ident) => {
        concat!(
            events_in!($engine, "$2"),
            " WHERE e.relates_to = $1 AND e.rel_type = 'm.thread' AND e.redacted_by IS NULL"
        )
    };
}

reeve_db::statements! {
    REPLIED = "SELECT pos FROM events WHERE relates_to = $1 AND rel_type = 'm.thread' AND redacted_by IS NULL \
               AND sender = $2 LIMIT 1";
    REPLIES_IN = {
        sqlite: concat!("SELECT count(*) FROM ", replies!(sqlite)),
        postgres: concat!("SELECT count(*) FROM ", replies!(postgres)),
    };
    /// Searches by sender, so that the replies of others are not read.
    REPLIES_BY = {
        sqlite: concat!("SELECT count(*) FROM json_each($3) s CROSS JOIN ", replies!(sqlite), " AND e.sender = s.value"),
        postgres: concat!("SELECT count(*) FROM ", replies!(postgres), " AND e.sender = ANY (ARRAY(SELECT \
                           json_array_elements_text(CAST(CAST($3 AS TEXT) AS JSON))))"),
    };
    ADD_REPLY = "INSERT INTO threads (root_event_id, room_num, latest_pos, replies) VALUES ($1, $2, $3, 1) \
                    ON CONFLICT (root_event_id) DO UPDATE SET latest_pos = excluded.latest_pos, replies = threads.replies + 1";
    LOSE_REPLY = "UPDATE threads SET replies = replies - 1 WHERE root_event_id = $1";
    FIND = "SELECT root_event_id, latest_pos, replies FROM threads WHERE root_event_id = $1";
    OF_ROOM = "SELECT root_event_id, latest_pos, replies FROM threads WHERE room_num = $1 AND latest_pos < $2 \
               ORDER BY latest_pos DESC LIMIT $3";
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The event at its root.
    pub root_event_id: String,
    /// The position of its latest reply.
    pub latest_pos: Pos,
    /// The number of its replies.
    pub replies: i64,
}

fn from_row(row: &Row<'_>) -> Result<Thread, DbError> {
    Ok(Thread { root_event_id: row.get(0)?, latest_pos: row.get(1)?, replies: row.get(2)? })
}

/// Counts a reply in a thread.
pub fn add_reply(tx: &mut Tx<'_>, root_event_id: &str, room_num: RoomNum, pos: Pos) -> Result<(), DbError> {
    tx.execute(&ADD_REPLY, &params![root_event_id, room_num, pos])?;
    Ok(())
}

/// Subtracts a redacted reply.
pub fn lose_reply(tx: &mut Tx<'_>, root_event_id: &str) -> Result<(), DbError> {
    tx.execute(&LOSE_REPLY, &params![root_event_id])?;
    Ok(())
}

/// Returns the thread with a root.
pub fn find(tx: &ReadTx<'_>, root_event_id: &str) -> Result<Option<Thread>, DbError> {
    tx.query_opt(&FIND, &params![root_event_id], from_row)
}

/// Returns the threads of a room whose latest reply is before a position, the latest first.
pub fn of_room(tx: &ReadTx<'_>, room_num: RoomNum, before: Pos, limit: i64) -> Result<Vec<Thread>, DbError> {
    tx.query(&OF_ROOM, &params![room_num, before, limit], from_row)
}

/// Returns true if a thread has a reply by a sender that was not redacted.
pub fn has_replied(tx: &ReadTx<'_>, root_event_id: &str, sender: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&REPLIED, &params![root_event_id, sender], |_| Ok(()))?.is_some())
}

/// Returns the number of replies that a thread has in spans of the stream, without redacted ones.
pub fn replies_in(tx: &ReadTx<'_>, root_event_id: &str, spans: &[Span]) -> Result<i64, DbError> {
    tx.query_one(&REPLIES_IN, &params![root_event_id, span_list(spans)], |row| row.get(0))
}

/// Returns how many of them are by the senders in `excluded`, a JSON array.
pub fn replies_by(
    tx: &ReadTx<'_>,
    root_event_id: &str,
    spans: &[Span],
    excluded: &str,
) -> Result<i64, DbError> {
    tx.query_one(&REPLIES_BY, &params![root_event_id, span_list(spans), excluded], |row| row.get(0))
}
