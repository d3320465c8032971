//! Media ids that were created before an upload.

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
    /// The number of the account that created it.
    pub user_num: UserNum,
    /// The time until which the bytes can be uploaded.
    pub expires_ts: Millis,
}

/// Stores a media id; it must be free.
pub fn insert(tx: &mut Tx<'_>, media_id: &str, pending: Pending, now: Millis) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![media_id, pending.user_num, now, pending.expires_ts])?;
    Ok(())
}

/// Returns one media id without bytes, perhaps expired.
pub fn find(tx: &ReadTx<'_>, media_id: &str) -> Result<Option<Pending>, DbError> {
    tx.query_opt(&FIND, &params![media_id], |row| {
        Ok(Pending { user_num: row.get(0)?, expires_ts: row.get(1)? })
    })
}

/// The media ids of an account without bytes that have not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Their number.
    pub count: i64,
    /// The time at which the first of them expires.
    pub first_expires_ts: Option<Millis>,
}

/// Counts the media ids of an account that wait for their bytes.
pub fn waiting(tx: &ReadTx<'_>, user_num: UserNum, now: Millis) -> Result<Waiting, DbError> {
    let count = tx.query_one(&COUNT, &params![user_num, now], |row| row.get(0))?;
    let first_expires_ts = tx.query_opt(&FIRST_EXPIRES, &params![user_num, now], |row| row.get(0))?;
    Ok(Waiting { count, first_expires_ts })
}

/// Deletes one.
pub fn delete(tx: &mut Tx<'_>, media_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![media_id])?;
    Ok(())
}

/// Deletes some of those that expired before a time; returns false if there were none.
pub fn prune(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<bool, DbError> {
    Ok(tx.execute(&PRUNE, &params![before, most])? > 0)
}
