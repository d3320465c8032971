//! Messages to devices that were not acknowledged yet.

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
    // The first that is kept is the first but few of all, so that little is looked at.
    DELETE_FIRST = "DELETE FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos < \
                    (SELECT pos FROM to_device WHERE user_num = $1 AND device_id = $2 AND seq > $3 AND upto_bytes > $4 \
                    ORDER BY pos LIMIT 1)";
    /// Those to an earlier device of the same name are not this one's.
    PENDING = "SELECT pos, event FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos > $3 \
               AND pos > coalesce((SELECT upto_pos FROM left_queues WHERE user_num = $1 AND device_id = $2), 0) \
               ORDER BY pos LIMIT $4";
    HAS_UPTO = "SELECT 1 FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos <= $3 LIMIT 1";
    DELETE_UPTO = "DELETE FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos <= $3";
    LEAVE = "INSERT INTO left_queues (user_num, device_id, upto_pos) \
             SELECT user_num, device_id, pos FROM (SELECT user_num, device_id, pos FROM to_device \
             WHERE user_num = $1 AND device_id = $2 ORDER BY pos DESC LIMIT 1) newest WHERE true \
             ON CONFLICT (user_num, device_id) DO UPDATE SET upto_pos = excluded.upto_pos";
    A_LEFT_ONE = "SELECT user_num, device_id, upto_pos FROM left_queues ORDER BY user_num, device_id LIMIT 1";
    DELETE_SOME_UPTO = "DELETE FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos IN \
                        (SELECT pos FROM to_device WHERE user_num = $1 AND device_id = $2 AND pos <= $3 ORDER BY pos LIMIT $4)";
    CLEARED = "DELETE FROM left_queues WHERE user_num = $1 AND device_id = $2";
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
    /// How many bytes it and those before it in this numbering have.
    pub upto_bytes: i64,
}

fn queued(row: &Row<'_>) -> Result<Queued, DbError> {
    Ok(Queued { user_num: row.get(0)?, device_id: row.get(1)?, seq: row.get(2)?, upto_bytes: row.get(3)? })
}

/// Puts an event, given as JSON, into the queue of a device, or of each device of the account if none is named; of a
/// device only once at a position. Answers where it was put: nowhere, if there is no such device.
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

/// The messages of a device after a position, in order, with their positions; at most `limit`.
pub fn pending(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    device_id: &str,
    after: Pos,
    limit: i64,
) -> Result<Vec<(Pos, String)>, DbError> {
    tx.query(&PENDING, &params![user_num, device_id, after, limit], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Whether a device has messages up to a position.
pub fn has_upto(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str, upto: Pos) -> Result<bool, DbError> {
    Ok(tx.query_opt(&HAS_UPTO, &params![user_num, device_id, upto], |_| Ok(()))?.is_some())
}

/// Deletes the messages of a device up to a position.
pub fn delete_upto(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str, upto: Pos) -> Result<(), DbError> {
    tx.execute(&DELETE_UPTO, &params![user_num, device_id, upto])?;
    Ok(())
}

/// Takes all messages from a device that goes. They are nobody's from now on; [`clear`] deletes them.
pub fn leave(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    tx.execute(&LEAVE, &params![user_num, device_id])?;
    Ok(())
}

/// Deletes up to `most` messages to one device that is gone; answers whether there may be more to delete.
pub fn clear(tx: &mut Tx<'_>, most: i64) -> Result<bool, DbError> {
    let found = tx.query_opt(&A_LEFT_ONE, &params![], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let Some((user_num, device_id, upto)): Option<(UserNum, String, Pos)> = found else { return Ok(false) };
    let deleted = tx.execute(&DELETE_SOME_UPTO, &params![user_num, &device_id, upto, most])?;
    if i64::try_from(deleted).unwrap_or(most) < most {
        tx.execute(&CLEARED, &params![user_num, &device_id])?;
    }
    Ok(true)
}
