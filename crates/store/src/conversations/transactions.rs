//! Transaction ids of requests.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, Pos, UserNum};

reeve_db::statements! {
    FIND = "SELECT event_id FROM transactions WHERE user_num = $1 AND device_id = $2 AND scope = $3 AND txn_id = $4";
    INSERT = "INSERT INTO transactions (user_num, device_id, scope, txn_id, event_id, created_ts, event_pos) \
              VALUES ($1, $2, $3, $4, $5, $6, (SELECT pos FROM events WHERE event_id = $5))";
    BEGIN = "INSERT INTO transactions (user_num, device_id, scope, txn_id, event_id, created_ts) \
             VALUES ($1, $2, $3, $4, '', $5) ON CONFLICT (user_num, device_id, scope, txn_id) DO NOTHING";
    OF_EVENT = "SELECT txn_id FROM transactions WHERE event_pos = $1 AND user_num = $2 AND device_id = $3 LIMIT 1";
    PRUNE = "DELETE FROM transactions WHERE created_ts < $1";
}

/// The key of a request. Each device chooses its own transaction ids.
#[derive(Clone, Debug)]
pub struct Key {
    /// The account.
    pub user_num: UserNum,
    /// The device, or a substitute for a session without device.
    pub device_id: String,
    /// The kind of the request, and the thing that it changes.
    pub scope: String,
    /// The id that the client chose.
    pub txn_id: String,
}

/// Returns the event that an earlier request with this key created.
pub fn find(tx: &ReadTx<'_>, key: &Key) -> Result<Option<String>, DbError> {
    tx.query_opt(&FIND, &params![key.user_num, &key.device_id, &key.scope, &key.txn_id], |row| row.get(0))
}

/// Stores the event that a request created.
pub fn insert(tx: &mut Tx<'_>, key: &Key, event_id: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![key.user_num, &key.device_id, &key.scope, &key.txn_id, event_id, now])?;
    Ok(())
}

/// Stores a request that created no event; returns true if it is the first with this key.
pub fn begin(tx: &mut Tx<'_>, key: &Key, now: Millis) -> Result<bool, DbError> {
    let Key { user_num, device_id, scope, txn_id } = key;
    Ok(tx.execute(&BEGIN, &params![*user_num, device_id, scope, txn_id, now])? > 0)
}

/// Returns the transaction id with which a device sent the event at a position.
pub fn of_event(
    tx: &ReadTx<'_>,
    pos: Pos,
    user_num: UserNum,
    device_id: &str,
) -> Result<Option<String>, DbError> {
    tx.query_opt(&OF_EVENT, &params![pos, user_num, device_id], |row| row.get(0))
}

/// Deletes requests before a time.
pub fn prune(tx: &mut Tx<'_>, before_ts: Millis) -> Result<(), DbError> {
    tx.execute(&PRUNE, &params![before_ts])?;
    Ok(())
}
