//! Refresh tokens, stored as SHA-256 digests.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, TokenHash, UserNum};

reeve_db::statements! {
    FIND = "SELECT user_num, device_id, access_token_hash, successor, valid_until_ts FROM refresh_tokens \
            WHERE token_hash = $1";
    PREDECESSOR = "SELECT token_hash, access_token_hash FROM refresh_tokens WHERE successor = $1";
    OF_ACCESS_TOKEN = "SELECT token_hash FROM refresh_tokens WHERE user_num = $1 AND device_id = $2 \
                       AND access_token_hash = $3";
    OF_FAMILY = "SELECT user_num, device_id FROM refresh_tokens WHERE family_hash = $1 LIMIT 1";
    INSERT = "INSERT INTO refresh_tokens (token_hash, family_hash, user_num, device_id, access_token_hash, valid_until_ts, \
              created_ts) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    SET_SUCCESSOR = "UPDATE refresh_tokens SET successor = $2 WHERE token_hash = $1";
    DELETE = "DELETE FROM refresh_tokens WHERE token_hash = $1";
    DELETE_OF_DEVICE = "DELETE FROM refresh_tokens WHERE user_num = $1 AND device_id = $2";
    DELETE_OF_USER = "DELETE FROM refresh_tokens WHERE user_num = $1";
    DELETE_OF_USER_BUT = "DELETE FROM refresh_tokens WHERE user_num = $1 AND access_token_hash <> $2";
}

/// A refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The account.
    pub user_num: UserNum,
    /// The device.
    pub device_id: String,
    /// The access token that was issued with it.
    pub access_token_hash: TokenHash,
    /// The refresh token that replaced it.
    pub successor: Option<TokenHash>,
    /// The time at which it expires, in milliseconds.
    pub valid_until_ts: Option<Millis>,
}

/// Returns the refresh token with a digest.
pub fn find(tx: &ReadTx<'_>, token_hash: &TokenHash) -> Result<Option<RefreshToken>, DbError> {
    tx.query_opt(&FIND, &params![token_hash], |row| {
        Ok(RefreshToken {
            user_num: row.get(0)?,
            device_id: row.get(1)?,
            access_token_hash: row.get(2)?,
            successor: row.get(3)?,
            valid_until_ts: row.get(4)?,
        })
    })
}

/// The refresh token that was exchanged for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// Its digest.
    pub token_hash: TokenHash,
    /// The digest of the access token that was issued with it.
    pub access_token_hash: TokenHash,
}

/// Returns the refresh token that was exchanged for this one.
pub fn predecessor(tx: &ReadTx<'_>, token_hash: &TokenHash) -> Result<Option<Predecessor>, DbError> {
    tx.query_opt(&PREDECESSOR, &params![token_hash], |row| {
        Ok(Predecessor { token_hash: row.get(0)?, access_token_hash: row.get(1)? })
    })
}

/// Returns the refresh token that was issued with an access token.
pub fn of_access_token(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    device_id: &str,
    access_token_hash: &TokenHash,
) -> Result<Option<TokenHash>, DbError> {
    tx.query_opt(&OF_ACCESS_TOKEN, &params![user_num, device_id, access_token_hash], |row| row.get(0))
}

/// The session that a refresh token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The account.
    pub user_num: UserNum,
    /// The device.
    pub device_id: String,
}

/// Returns the session whose refresh tokens share a part with this digest.
pub fn of_family(tx: &ReadTx<'_>, family_hash: &TokenHash) -> Result<Option<Refreshed>, DbError> {
    tx.query_opt(&OF_FAMILY, &params![family_hash], |row| {
        Ok(Refreshed { user_num: row.get(0)?, device_id: row.get(1)? })
    })
}

/// A refresh token to store.
#[derive(Clone, Copy, Debug)]
pub struct NewRefreshToken<'a> {
    /// Its digest.
    pub token_hash: &'a TokenHash,
    /// The digest of the part that all refresh tokens of the session share.
    pub family_hash: &'a TokenHash,
    /// The account.
    pub user_num: UserNum,
    /// The device.
    pub device_id: &'a str,
    /// The digest of the access token that is issued with it.
    pub access_token_hash: &'a TokenHash,
    /// The time of its expiry; `None` for never.
    pub valid_until_ts: Option<Millis>,
    /// The present time.
    pub created_ts: Millis,
}

/// Stores a refresh token.
pub fn insert(tx: &mut Tx<'_>, new: &NewRefreshToken<'_>) -> Result<(), DbError> {
    let params = params![
        new.token_hash,
        new.family_hash,
        new.user_num,
        new.device_id,
        new.access_token_hash,
        new.valid_until_ts,
        new.created_ts
    ];
    tx.execute(&INSERT, &params)?;
    Ok(())
}

/// Stores the refresh token for which another one was exchanged.
pub fn set_successor(tx: &mut Tx<'_>, token_hash: &TokenHash, successor: &TokenHash) -> Result<(), DbError> {
    tx.execute(&SET_SUCCESSOR, &params![token_hash, successor])?;
    Ok(())
}

/// Deletes one refresh token.
pub fn delete(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![token_hash])?;
    Ok(())
}

/// Deletes the refresh tokens of a device.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_DEVICE, &params![user_num, device_id])
}

/// Deletes the refresh tokens of an account, except the one that was issued with an access token.
pub fn delete_of_user(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    but_with: Option<&TokenHash>,
) -> Result<u64, DbError> {
    match but_with {
        None => tx.execute(&DELETE_OF_USER, &params![user_num]),
        Some(access_token_hash) => tx.execute(&DELETE_OF_USER_BUT, &params![user_num, access_token_hash]),
    }
}
