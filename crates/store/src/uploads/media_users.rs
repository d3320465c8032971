//! Counts of uploads and bytes, of each account and of all.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{User, UserNum};

use crate::sql::sort_key;

reeve_db::statements! {
    ADD = "INSERT INTO media_users (user_num, user_id, sort_displayname, media_count, media_length) \
           SELECT num, user_id, coalesce('a' || displayname, 'b'), 1, CAST($2 AS BIGINT) FROM users WHERE num = $1 \
           ON CONFLICT (user_num) DO UPDATE SET media_count = media_users.media_count + 1, \
           media_length = media_users.media_length + excluded.media_length RETURNING media_count";
    REMOVE = "UPDATE media_users SET media_count = media_count - 1, media_length = media_length - $2 \
              WHERE user_num = $1 RETURNING media_count";
    DELETE_EMPTY = "DELETE FROM media_users WHERE user_num = $1 AND media_count = 0";
    RENAME = "UPDATE media_users SET sort_displayname = $2 WHERE user_num = $1";
    OF_USER = "SELECT media_count, media_length FROM media_users WHERE user_num = $1";
    ADD_TOTALS = "INSERT INTO media_totals (lane, users, media, bytes) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (lane) DO UPDATE SET users = media_totals.users + excluded.users, \
                  media = media_totals.media + excluded.media, bytes = media_totals.bytes + excluded.bytes";
    TOTALS = "SELECT CAST(coalesce(sum(users), 0) AS BIGINT), CAST(coalesce(sum(media), 0) AS BIGINT), \
              CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM media_totals";
}

/// The uploads of an account, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of uploads.
    pub media_count: i64,
    /// Their size, each upload counted by itself, in bytes.
    pub media_length: i64,
}

/// The counts of all uploads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of accounts with uploads.
    pub users: i64,
    /// The number of uploads.
    pub media: i64,
    /// The size of the stored blobs, in bytes.
    pub bytes: i64,
}

/// Returns the counts of an account.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Usage, DbError> {
    let found = tx.query_opt(&OF_USER, &params![user_num], |row| {
        Ok(Usage { media_count: row.get(0)?, media_length: row.get(1)? })
    })?;
    Ok(found.unwrap_or_default())
}

/// Returns the counts of all uploads.
pub fn totals(tx: &ReadTx<'_>) -> Result<Totals, DbError> {
    tx.query_one(&TOTALS, &params![], |row| {
        Ok(Totals { users: row.get(0)?, media: row.get(1)?, bytes: row.get(2)? })
    })
}

/// Counts an upload of an account; returns the account's counts with it.
pub(crate) fn add(tx: &mut Tx<'_>, user_num: UserNum, length: i64) -> Result<i64, DbError> {
    let count: Vec<i64> = tx.returning(&ADD, &params![user_num, length], |row| row.get(0))?;
    let count = count.first().copied().unwrap_or_default();
    add_totals(tx, i64::from(count == 1), 1, 0)?;
    Ok(count)
}

/// Subtracts an upload of an account; returns the account's counts without it.
pub(crate) fn remove(tx: &mut Tx<'_>, user_num: UserNum, length: i64) -> Result<i64, DbError> {
    let count: Vec<i64> = tx.returning(&REMOVE, &params![user_num, length], |row| row.get(0))?;
    let gone = count == [0];
    if gone {
        tx.execute(&DELETE_EMPTY, &params![user_num])?;
    }
    add_totals(tx, -i64::from(gone), -1, 0)?;
    Ok(count.first().copied().unwrap_or_default())
}

/// Adds to the size of the stored blobs, or subtracts from it.
pub(crate) fn add_bytes(tx: &mut Tx<'_>, bytes: i64) -> Result<(), DbError> {
    add_totals(tx, 0, 0, bytes)
}

fn add_totals(tx: &mut Tx<'_>, users: i64, media: i64, bytes: i64) -> Result<(), DbError> {
    let lane = tx.lane();
    tx.execute(&ADD_TOTALS, &params![lane, users, media, bytes])?;
    Ok(())
}

/// Updates the sort keys of lists after a change of an account.
pub(crate) fn changed(tx: &mut Tx<'_>, before: &User, after: &User) -> Result<(), DbError> {
    if before.displayname != after.displayname {
        tx.execute(&RENAME, &params![before.num, sort_key(after.displayname.as_deref())])?;
    }
    Ok(())
}
