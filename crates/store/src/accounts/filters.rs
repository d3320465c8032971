//! Filters that clients store for their syncs.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::UserNum;

reeve_db::statements! {
    FIND = "SELECT content FROM filters WHERE user_num = $1 AND filter_id = $2";
    // Lengths are compared without reading the contents.
    LIKE = "SELECT filter_id FROM filters WHERE user_num = $1 AND octet_length(content) = $3 AND content = $2";
    LAST = "SELECT max(filter_id) FROM filters WHERE user_num = $1";
    INSERT = "INSERT INTO filters (user_num, filter_id, content) VALUES ($1, $2, $3)";
    DELETE_OF_USER = "DELETE FROM filters WHERE user_num = $1";
}

/// Returns a stored filter, as JSON.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum, filter_id: i64) -> Result<Option<String>, DbError> {
    tx.query_opt(&FIND, &params![user_num, filter_id], |row| row.get(0))
}

/// Returns the id of the filter of an account with exactly this JSON.
pub fn equal(tx: &ReadTx<'_>, user_num: UserNum, content: &str) -> Result<Option<i64>, DbError> {
    let length = i64::try_from(content.len()).unwrap_or(i64::MAX);
    tx.query_opt(&LIKE, &params![user_num, content, length], |row| row.get(0))
}

/// Returns the id of the next filter of an account: 0 for the first.
pub fn next_id(tx: &ReadTx<'_>, user_num: UserNum) -> Result<i64, DbError> {
    let last: Option<i64> = tx.query_one(&LAST, &params![user_num], |row| row.get(0))?;
    Ok(last.map_or(0, |last| last + 1))
}

/// Stores a filter, given as JSON.
pub fn insert(tx: &mut Tx<'_>, user_num: UserNum, filter_id: i64, content: &str) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![user_num, filter_id, content])?;
    Ok(())
}

/// Deletes the filters of an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])?;
    Ok(())
}
