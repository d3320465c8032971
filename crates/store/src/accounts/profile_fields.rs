//! Profile fields besides display name and avatar.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::UserNum;

reeve_db::statements! {
    OF_USER = "SELECT field, value FROM profile_fields WHERE user_num = $1 ORDER BY field";
    FIND = "SELECT value FROM profile_fields WHERE user_num = $1 AND field = $2";
    PUT = "INSERT INTO profile_fields (user_num, field, value) VALUES ($1, $2, $3) \
           ON CONFLICT (user_num, field) DO UPDATE SET value = excluded.value";
    DELETE = "DELETE FROM profile_fields WHERE user_num = $1 AND field = $2";
    DELETE_OF_USER = "DELETE FROM profile_fields WHERE user_num = $1";
}

/// Returns the fields of an account and their values as JSON, by name.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<(String, String)>, DbError> {
    tx.query(&OF_USER, &params![user_num], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns the value of one field, as JSON.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum, field: &str) -> Result<Option<String>, DbError> {
    tx.query_opt(&FIND, &params![user_num, field], |row| row.get(0))
}

/// Sets a field to a value, given as JSON.
pub fn put(tx: &mut Tx<'_>, user_num: UserNum, field: &str, value: &str) -> Result<(), DbError> {
    tx.execute(&PUT, &params![user_num, field, value])?;
    Ok(())
}

/// Deletes a field; returns true if it existed.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, field: &str) -> Result<bool, DbError> {
    Ok(tx.execute(&DELETE, &params![user_num, field])? > 0)
}

/// Deletes all fields of an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])
}
