//! Media ids that were given out before the bytes.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, UserNum};

reeve_db::statements! {
    INSERT = "INSERT INTO media_pending (media_id, user_num, created_ts, expires_ts) VALUES ($1, $2, $3, $4)";
    FIND = "SELECT user_num, expires_ts FROM media_pending WHERE media_id = $1";
    COUNT = "SELECT count(*) FROM media_pending WHERE user_num = $1 AND expires_ts > $2";
    FIRST_EXPIRES = "SELECT expires_ts FROM media_pending WHERE user_num = $1 AND expires_ts > $2 \
                     ORDER BY expires_ts LIMIT 1";
    DELETE = "DELETE FROM media_pending WHERE media_id = $1";
    PRUNE = "DELETE FROM media_pending WHERE media_id IN \
             (SELECT media_id FROM media_pending WHERE expires_ts <= $1 ORDER BY expires_ts LIMIT $2)";
}

/// A media id without bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The number of the account that asked for it.
    pub user_num: UserNum,
    /// Until when the bytes may come, in milliseconds.
    pub expires_ts: Millis,
}

/// Stores a media id; it must be free.
pub fn insert(tx: &mut Tx<'_>, media_id: &str, pending: Pending, now: Millis) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![media_id, pending.user_num, now, pending.expires_ts])?;
    Ok(())
}

/// One media id without bytes, perhaps expired.
pub fn find(tx: &ReadTx<'_>, media_id: &str) -> Result<Option<Pending>, DbError> {
    tx.query_opt(&FIND, &params![media_id], |row| {
        Ok(Pending { user_num: row.get(0)?, expires_ts: row.get(1)? })
    })
}

/// How many media ids of an account wait for their bytes, and when the first of them expires.
pub fn waiting(tx: &ReadTx<'_>, user_num: UserNum, now: Millis) -> Result<(i64, Option<Millis>), DbError> {
    let count = tx.query_one(&COUNT, &params![user_num, now], |row| row.get(0))?;
    let first = tx.query_opt(&FIRST_EXPIRES, &params![user_num, now], |row| row.get(0))?;
    Ok((count, first))
}

/// Forgets one.
pub fn delete(tx: &mut Tx<'_>, media_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![media_id])?;
    Ok(())
}

/// Forgets some of those that expired before a time.
pub fn prune(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<(), DbError> {
    tx.execute(&PRUNE, &params![before, most])?;
    Ok(())
}
