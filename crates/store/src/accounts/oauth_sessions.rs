//! Sessions that began with OAuth 2.0.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, UserNum};

reeve_db::statements! {
    FIND = "SELECT client_id, scope, created_ts FROM oauth_sessions WHERE user_num = $1 AND device_id = $2";
    ANY_OF_CLIENT = "SELECT user_num FROM oauth_sessions WHERE client_id = $1 LIMIT 1";
    INSERT = "INSERT INTO oauth_sessions (user_num, device_id, client_id, scope, created_ts) VALUES ($1, $2, $3, $4, $5)";
    DELETE_OF_DEVICE = "DELETE FROM oauth_sessions WHERE user_num = $1 AND device_id = $2";
}

/// The part of a session that it has besides its device and tokens, if it began with OAuth 2.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthSession {
    /// The client.
    pub client_id: String,
    /// The scope that it was given.
    pub scope: String,
    /// The time at which the session began.
    pub created_ts: Millis,
}

/// Returns the session of a device; `None` if it did not begin with OAuth 2.0.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str) -> Result<Option<OAuthSession>, DbError> {
    tx.query_opt(&FIND, &params![user_num, device_id], |row| {
        Ok(OAuthSession { client_id: row.get(0)?, scope: row.get(1)?, created_ts: row.get(2)? })
    })
}

/// Returns true if a client has a session of any account.
pub fn has_any(tx: &ReadTx<'_>, client_id: &str) -> Result<bool, DbError> {
    let any: Option<UserNum> = tx.query_opt(&ANY_OF_CLIENT, &params![client_id], |row| row.get(0))?;
    Ok(any.is_some())
}

/// Stores a session.
pub fn insert(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    session: &OAuthSession,
) -> Result<(), DbError> {
    let OAuthSession { client_id, scope, created_ts } = session;
    tx.execute(&INSERT, &params![user_num, device_id, client_id, scope, created_ts])?;
    Ok(())
}

/// Deletes the session of a device.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_DEVICE, &params![user_num, device_id])
}
