//! Requests of clients on devices without a browser to act for an account.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Consent, Millis, TokenHash, UserNum};

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT device_code_hash, user_code, client_id, scope, ends_ts, interval_ms, consent, user_num, last_poll_ts \
             FROM oauth_device_requests WHERE ",
            $condition
        )
    };
}

reeve_db::statements! {
    BY_DEVICE_CODE = select!("device_code_hash = $1");
    BY_USER_CODE = select!("user_code = $1");
    INSERT = "INSERT INTO oauth_device_requests (device_code_hash, user_code, client_id, scope, ends_ts, interval_ms, \
              consent) VALUES ($1, $2, $3, $4, $5, $6, 'waiting')";
    ANSWER = "UPDATE oauth_device_requests SET consent = $2, user_num = $3 WHERE device_code_hash = $1";
    POLLED = "UPDATE oauth_device_requests SET last_poll_ts = $2, interval_ms = $3 WHERE device_code_hash = $1";
    DELETE = "DELETE FROM oauth_device_requests WHERE device_code_hash = $1";
    DELETE_OF_USER = "DELETE FROM oauth_device_requests WHERE user_num = $1";
    PRUNE = "DELETE FROM oauth_device_requests WHERE device_code_hash IN \
             (SELECT device_code_hash FROM oauth_device_requests WHERE ends_ts < $1 ORDER BY ends_ts LIMIT $2)";
}

/// A request to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOAuthDeviceRequest {
    /// The digest of the code with which the client asks.
    pub device_code_hash: TokenHash,
    /// The code that the person types, without separators.
    pub user_code: String,
    /// The client.
    pub client_id: String,
    /// The scope that is asked for.
    pub scope: String,
    /// The time at which it ends.
    pub ends_ts: Millis,
    /// The least time between two questions of the client, in milliseconds.
    pub interval_ms: i64,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthDeviceRequest {
    /// The request as it was made. The interval grows when the client asks too often.
    pub made: NewOAuthDeviceRequest,
    /// The answer of the person.
    pub consent: Consent,
    /// The account that answered.
    pub user_num: Option<UserNum>,
    /// The time at which the client asked last.
    pub last_poll_ts: Option<Millis>,
}

fn from_row(row: &Row<'_>) -> Result<OAuthDeviceRequest, DbError> {
    Ok(OAuthDeviceRequest {
        made: NewOAuthDeviceRequest {
            device_code_hash: row.get(0)?,
            user_code: row.get(1)?,
            client_id: row.get(2)?,
            scope: row.get(3)?,
            ends_ts: row.get(4)?,
            interval_ms: row.get(5)?,
        },
        consent: row.get(6)?,
        user_num: row.get(7)?,
        last_poll_ts: row.get(8)?,
    })
}

/// Returns the request whose device code has a digest, even if it has ended.
pub fn by_device_code(
    tx: &ReadTx<'_>,
    device_code_hash: &TokenHash,
) -> Result<Option<OAuthDeviceRequest>, DbError> {
    tx.query_opt(&BY_DEVICE_CODE, &params![device_code_hash], from_row)
}

/// Returns the request with a user code, even if it has ended.
pub fn by_user_code(tx: &ReadTx<'_>, user_code: &str) -> Result<Option<OAuthDeviceRequest>, DbError> {
    tx.query_opt(&BY_USER_CODE, &params![user_code], from_row)
}

/// Stores a request.
pub fn insert(tx: &mut Tx<'_>, new: &NewOAuthDeviceRequest) -> Result<(), DbError> {
    let params =
        params![new.device_code_hash, new.user_code, new.client_id, new.scope, new.ends_ts, new.interval_ms];
    tx.execute(&INSERT, &params)?;
    Ok(())
}

/// Stores the answer of an account.
pub fn answer(
    tx: &mut Tx<'_>,
    device_code_hash: &TokenHash,
    consent: Consent,
    user_num: UserNum,
) -> Result<(), DbError> {
    tx.execute(&ANSWER, &params![device_code_hash, consent, user_num])?;
    Ok(())
}

/// Notes that the client asked, and the least time until it may ask again.
pub fn polled(
    tx: &mut Tx<'_>,
    device_code_hash: &TokenHash,
    now: Millis,
    interval_ms: i64,
) -> Result<(), DbError> {
    tx.execute(&POLLED, &params![device_code_hash, now, interval_ms])?;
    Ok(())
}

/// Deletes a request.
pub fn delete(tx: &mut Tx<'_>, device_code_hash: &TokenHash) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![device_code_hash])?;
    Ok(())
}

/// Deletes the requests that an account answered.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])
}

/// Deletes up to `most` requests that ended before a time; returns true if there may be more.
pub fn prune(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<bool, DbError> {
    let deleted = tx.execute(&PRUNE, &params![before, most])?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX) >= most)
}
