//! Queues of to-device messages, until a client acknowledges them; and orphaned queues (table `left_queues`).

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Pos, UserNum};

macro_rules! put {
    ($which:literal) => {
        concat!(
            "INSERT INTO to_device (user_num, device_id, pos, seq, upto_bytes, event) \
             SELECT d.user_num, d.device_id, CAST($2 AS BIGINT), 1 + coalesce(last.seq, 0), \
             CAST($4 AS BIGINT) + coalesce(last.upto_bytes, 0), CAST($3 AS TEXT) \
             FROM users u JOIN devices d ON d.user_num = u.num LEFT JOIN to_device last ON last.user_num = d.user_num \
             AND last.device_id = d.device_id AND last.pos = (SELECT max(t.pos) FROM to_device t \
             WHERE t.user_num = d.user_num AND t.device_id = d.device_id) WHERE u.user_id = $1",
            $which,
            " ON CONFLICT (user_num, device_id, pos) DO NOTHING RETURNING user_num, device_id, seq, upto_bytes"
        )
    };
}

reeve_db::statements! {
    PUT = put!(" AND d.device_id = $5");
    PUT_ALL = put!("");
    // Few messages come before the first one that stays, so few rows are read.
    DELETE_FIRST = "DELETE FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos < \
                    (SELECT pos FROM to_device WHERE user_num = $1 AND device_id = $2 AND seq > $3 AND upto_bytes > $4 \
                    ORDER BY pos LIMIT 1)";
    /// Leaves out messages to an earlier device of the same name.
    PENDING = "SELECT pos, event FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos > $3 \
               AND pos > coalesce((SELECT upto_pos FROM left_queues WHERE user_num = $1 AND device_id = $2), 0) \
               ORDER BY pos LIMIT $4";
    HAS_UPTO = "SELECT 1 FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos <= $3 LIMIT 1";
    DELETE_UPTO = "DELETE FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos <= $3";
    ORPHAN = "INSERT INTO left_queues (user_num, device_id, upto_pos) \
             SELECT user_num, device_id, pos FROM (SELECT user_num, device_id, pos FROM to_device \
             WHERE user_num = $1 AND device_id = $2 ORDER BY pos DESC LIMIT 1) newest WHERE true \
             ON CONFLICT (user_num, device_id) DO UPDATE SET upto_pos = excluded.upto_pos";
    FIRST_ORPHANED = "SELECT user_num, device_id, upto_pos FROM left_queues ORDER BY user_num, device_id LIMIT 1";
    DELETE_SOME_UPTO = "DELETE FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos IN \
                        (SELECT pos FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos <= $3 ORDER BY pos LIMIT $4)";
    DELETE_ORPHANED = "DELETE FROM left_queues WHERE user_num = $1 AND device_id = $2";
}

/// A message that was put into the queue of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The account.
    pub user_num: UserNum,
    /// The device.
    pub device_id: String,
    /// Its number in the queue.
    pub seq: i64,
    /// The size of it and the messages with lower numbers, in bytes.
    pub upto_bytes: i64,
}

fn queued(row: &Row<'_>) -> Result<Queued, DbError> {
    Ok(Queued { user_num: row.get(0)?, device_id: row.get(1)?, seq: row.get(2)?, upto_bytes: row.get(3)? })
}

/// Puts an event, given as JSON, into the queue of a device, or of each device of the account if none is named; into
/// each queue only once at a position. Returns the places in the queues: none, if there is no such device.
pub fn put(
    tx: &mut Tx<'_>,
    user_id: &str,
    device_id: Option<&str>,
    pos: Pos,
    event: &str,
) -> Result<Vec<Queued>, DbError> {
    let length = i64::try_from(event.len()).unwrap_or(i64::MAX);
    match device_id {
        Some(device_id) => tx.returning(&PUT, &params![user_id, pos, event, length, device_id], queued),
        None => tx.returning(&PUT_ALL, &params![user_id, pos, event, length], queued),
    }
}

/// Deletes the first messages in the queue of a device: all up to the number `seq`, and all that end within the first
/// `upto_bytes`.
pub fn delete_first(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    seq: i64,
    upto_bytes: i64,
) -> Result<(), DbError> {
    tx.execute(&DELETE_FIRST, &params![user_num, device_id, seq, upto_bytes])?;
    Ok(())
}

/// A message in the queue of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its position in the stream.
    pub pos: Pos,
    /// The event, as JSON.
    pub event: String,
}

/// Returns up to `limit` messages of a device after a position, in order.
pub fn pending(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    device_id: &str,
    after: Pos,
    limit: i64,
) -> Result<Vec<Message>, DbError> {
    tx.query(&PENDING, &params![user_num, device_id, after, limit], |row| {
        Ok(Message { pos: row.get(0)?, event: row.get(1)? })
    })
}

/// Returns true if a device has messages up to a position.
pub fn has_upto(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str, upto: Pos) -> Result<bool, DbError> {
    Ok(tx.query_opt(&HAS_UPTO, &params![user_num, device_id, upto], |_| Ok(()))?.is_some())
}

/// Deletes the messages of a device up to a position.
pub fn delete_upto(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str, upto: Pos) -> Result<(), DbError> {
    tx.execute(&DELETE_UPTO, &params![user_num, device_id, upto])?;
    Ok(())
}

/// Orphans the queue of a device that is deleted. [`delete_orphaned`] deletes the messages.
pub fn orphan(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    tx.execute(&ORPHAN, &params![user_num, device_id])?;
    Ok(())
}

/// Deletes up to `most` messages of one orphaned queue; returns true if there may be more to delete.
pub fn delete_orphaned(tx: &mut Tx<'_>, most: i64) -> Result<bool, DbError> {
    let found =
        tx.query_opt(&FIRST_ORPHANED, &params![], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let Some((user_num, device_id, upto)): Option<(UserNum, String, Pos)> = found else { return Ok(false) };
    let deleted = tx.execute(&DELETE_SOME_UPTO, &params![user_num, &device_id, upto, most])?;
    if i64::try_from(deleted).unwrap_or(most) < most {
        tx.execute(&DELETE_ORPHANED, &params![user_num, &device_id])?;
    }
    Ok(true)
}
