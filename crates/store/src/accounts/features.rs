//! Experimental features of single accounts.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::UserNum;

reeve_db::statements! {
    OF_USER = "SELECT feature, enabled FROM experimental_features WHERE user_num = $1 ORDER BY feature";
    FIND = "SELECT enabled FROM experimental_features WHERE user_num = $1 AND feature = $2";
    SET = "INSERT INTO experimental_features (user_num, feature, enabled) VALUES ($1, $2, $3) \
           ON CONFLICT (user_num, feature) DO UPDATE SET enabled = excluded.enabled";
}

/// Returns the features that were ever set for an account, by name; true if one is on.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<(String, bool)>, DbError> {
    tx.query(&OF_USER, &params![user_num], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns true if a feature is on for an account. A feature that was never set is off.
pub fn is_enabled(tx: &ReadTx<'_>, user_num: UserNum, feature: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&FIND, &params![user_num, feature], |row| row.get(0))?.unwrap_or_default())
}

/// Switches a feature on or off for an account.
pub fn set(tx: &mut Tx<'_>, user_num: UserNum, feature: &str, enabled: bool) -> Result<(), DbError> {
    tx.execute(&SET, &params![user_num, feature, enabled])?;
    Ok(())
}
