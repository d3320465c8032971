//! Deletion of events with what depends on them.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Pos, RoomNum};

use crate::sql::num_list;

reeve_db::statements! {
    OF_ROOM = "SELECT pos FROM events WHERE room_num = $1 ORDER BY pos LIMIT $2";
    PURGEABLE = "SELECT pos, sender FROM events WHERE room_num = $1 AND pos > $2 AND pos < $3 \
                 AND (until_pos IS NULL OR until_pos < $3) ORDER BY pos LIMIT $4";
    /// `$1` here and below: the positions, in the form of [`num_list`].
    DELETE = {
        sqlite: "DELETE FROM events WHERE pos IN (SELECT value FROM json_each($1))",
        postgres: "DELETE FROM events WHERE pos = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
    DELETE_WORDS = {
        sqlite: "DELETE FROM event_words WHERE rowid IN (SELECT value FROM json_each($1))",
        postgres: "DELETE FROM event_words WHERE pos = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
    DELETE_NOTIFICATIONS = {
        sqlite: "DELETE FROM notifications WHERE pos IN (SELECT value FROM json_each($1))",
        postgres: "DELETE FROM notifications WHERE pos = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
    QUIET = {
        sqlite: "UPDATE events SET notifies = 0 WHERE pos IN (SELECT value FROM json_each($1)) AND notifies > 0",
        postgres: "UPDATE events SET notifies = 0 \
                   WHERE pos = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[])) AND notifies > 0",
    };
    DELETE_THREADS = {
        sqlite: "DELETE FROM threads WHERE root_event_id IN \
                 (SELECT event_id FROM events WHERE pos IN (SELECT value FROM json_each($1)))",
        postgres: "DELETE FROM threads WHERE root_event_id IN \
                   (SELECT event_id FROM events WHERE pos = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[])))",
    };
    DELETE_TRANSACTIONS = {
        sqlite: "DELETE FROM transactions WHERE event_pos IN (SELECT value FROM json_each($1))",
        postgres: "DELETE FROM transactions WHERE event_pos = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
}

/// Returns positions of some events of a room, the oldest first.
pub fn some_of_room(tx: &ReadTx<'_>, room_num: RoomNum, limit: i64) -> Result<Vec<Pos>, DbError> {
    tx.query(&OF_ROOM, &params![room_num, limit], |row| row.get(0))
}

/// Returns positions and senders of events in `(after, before)`, the oldest first, without state that holds at `before`
/// or later.
pub fn purgeable(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    after: Pos,
    before: Pos,
    limit: i64,
) -> Result<Vec<(Pos, String)>, DbError> {
    tx.query(&PURGEABLE, &params![room_num, after, before, limit], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Deletes events with their dependent rows.
pub fn delete(tx: &mut Tx<'_>, positions: &[Pos]) -> Result<(), DbError> {
    if positions.is_empty() {
        return Ok(());
    }
    let list = num_list(tx.engine(), positions);
    for statement in [&DELETE_WORDS, &DELETE_NOTIFICATIONS, &DELETE_THREADS, &DELETE_TRANSACTIONS, &DELETE] {
        tx.execute(statement, &params![&list])?;
    }
    Ok(())
}

/// Removes events from search and from notifications.
pub fn put_aside(tx: &mut Tx<'_>, positions: &[Pos]) -> Result<(), DbError> {
    if positions.is_empty() {
        return Ok(());
    }
    let list = num_list(tx.engine(), positions);
    for statement in [&DELETE_WORDS, &DELETE_NOTIFICATIONS, &QUIET] {
        tx.execute(statement, &params![&list])?;
    }
    Ok(())
}
