//! Login tokens: each lets another device of the same account log in once.

use reeve_db::{DbError, Tx, params};
use reeve_model::{Millis, TokenHash, UserNum};

reeve_db::statements! {
    INSERT = "INSERT INTO login_tokens (token_hash, user_num, valid_until_ts) VALUES ($1, $2, $3)";
    TAKE = "DELETE FROM login_tokens WHERE token_hash = $1 RETURNING user_num, valid_until_ts";
    DELETE_OF_USER = "DELETE FROM login_tokens WHERE user_num = $1";
    PRUNE = "DELETE FROM login_tokens WHERE valid_until_ts < $1";
}

/// Stores a login token.
pub fn insert(
    tx: &mut Tx<'_>,
    token_hash: &TokenHash,
    user_num: UserNum,
    valid_until_ts: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![token_hash, user_num, valid_until_ts])?;
    Ok(())
}

/// A login token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginToken {
    /// The account.
    pub user_num: UserNum,
    /// The time until which it is valid.
    pub valid_until_ts: Millis,
}

/// Deletes the login token with a digest and returns it.
pub fn take(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<Option<LoginToken>, DbError> {
    let taken = tx.returning(&TAKE, &params![token_hash], |row| {
        Ok(LoginToken { user_num: row.get(0)?, valid_until_ts: row.get(1)? })
    })?;
    Ok(taken.into_iter().next())
}

/// Deletes the login tokens of an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])
}

/// Deletes login tokens that expired before a time.
pub fn prune(tx: &mut Tx<'_>, before: Millis) -> Result<u64, DbError> {
    tx.execute(&PRUNE, &params![before])
}
