//! OpenID tokens, with which accounts prove their identity to other services.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, TokenHash, UserNum};

reeve_db::statements! {
    INSERT = "INSERT INTO openid_tokens (token_hash, user_num, valid_until_ts) VALUES ($1, $2, $3)";
    FIND = "SELECT user_num, valid_until_ts FROM openid_tokens WHERE token_hash = $1";
    DELETE_OF_USER = "DELETE FROM openid_tokens WHERE user_num = $1";
    DELETE_OLDEST = "DELETE FROM openid_tokens WHERE token_hash IN \
                     (SELECT token_hash FROM openid_tokens WHERE user_num = $1 ORDER BY valid_until_ts DESC LIMIT 1000 OFFSET $2)";
    PRUNE = "DELETE FROM openid_tokens WHERE valid_until_ts < $1";
}

/// Stores a token.
pub fn insert(
    tx: &mut Tx<'_>,
    token_hash: &TokenHash,
    user_num: UserNum,
    valid_until_ts: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![token_hash, user_num, valid_until_ts])?;
    Ok(())
}

/// An OpenID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenIdToken {
    /// The account.
    pub user_num: UserNum,
    /// The time until which it is valid.
    pub valid_until_ts: Millis,
}

/// Returns the token with a digest.
pub fn find(tx: &ReadTx<'_>, token_hash: &TokenHash) -> Result<Option<OpenIdToken>, DbError> {
    tx.query_opt(&FIND, &params![token_hash], |row| {
        Ok(OpenIdToken { user_num: row.get(0)?, valid_until_ts: row.get(1)? })
    })
}

/// Deletes the tokens of an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])
}

/// Deletes the tokens of an account that expire first, so that at most `kept` are left.
pub fn delete_oldest(tx: &mut Tx<'_>, user_num: UserNum, kept: i64) -> Result<u64, DbError> {
    tx.execute(&DELETE_OLDEST, &params![user_num, kept])
}

/// Deletes tokens that expired before a time.
pub fn prune(tx: &mut Tx<'_>, before: Millis) -> Result<u64, DbError> {
    tx.execute(&PRUNE, &params![before])
}
