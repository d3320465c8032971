//! Requests of clients to act for an account, made in its browser, and the codes that they get.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, ResponseMode, TokenHash, UserNum};

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT id, client_id, redirect_uri, response_mode, state, scope, code_challenge, proves_again, created_ts, \
             ends_ts, user_num, used_ts FROM oauth_requests WHERE ",
            $condition
        )
    };
}

reeve_db::statements! {
    FIND = select!("id = $1");
    BY_CODE = select!("code_hash = $1");
    INSERT = "INSERT INTO oauth_requests (id, client_id, redirect_uri, response_mode, state, scope, code_challenge, \
              proves_again, created_ts, ends_ts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    ALLOW = "UPDATE oauth_requests SET user_num = $2, code_hash = $3, ends_ts = $4 WHERE id = $1";
    USE = "UPDATE oauth_requests SET used_ts = $2 WHERE id = $1";
    DELETE = "DELETE FROM oauth_requests WHERE id = $1";
    DELETE_OF_USER = "DELETE FROM oauth_requests WHERE user_num = $1";
    PRUNE = "DELETE FROM oauth_requests WHERE id IN \
             (SELECT id FROM oauth_requests WHERE ends_ts < $1 ORDER BY ends_ts LIMIT $2)";
}

/// A request to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOAuthRequest {
    /// Its id, a random text.
    pub id: String,
    /// The client.
    pub client_id: String,
    /// The URI at which the browser continues afterwards.
    pub redirect_uri: String,
    /// The part of that URI that holds the response.
    pub response_mode: ResponseMode,
    /// The text that the client gets back.
    pub state: Option<String>,
    /// The scope that is asked for.
    pub scope: String,
    /// The SHA-256 digest of the secret with which the client proves that the code is for it, in base64 for URLs.
    pub code_challenge: String,
    /// True if the person must sign in again.
    pub proves_again: bool,
    /// The present time.
    pub created_ts: Millis,
    /// The time at which it ends.
    pub ends_ts: Millis,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthRequest {
    /// The request as it was made. `ends_ts` is the end of the code once there is one.
    pub made: NewOAuthRequest,
    /// The account that allowed it.
    pub user_num: Option<UserNum>,
    /// The time at which its code was exchanged for a session.
    pub used_ts: Option<Millis>,
}

fn from_row(row: &Row<'_>) -> Result<OAuthRequest, DbError> {
    Ok(OAuthRequest {
        made: NewOAuthRequest {
            id: row.get(0)?,
            client_id: row.get(1)?,
            redirect_uri: row.get(2)?,
            response_mode: row.get(3)?,
            state: row.get(4)?,
            scope: row.get(5)?,
            code_challenge: row.get(6)?,
            proves_again: row.get(7)?,
            created_ts: row.get(8)?,
            ends_ts: row.get(9)?,
        },
        user_num: row.get(10)?,
        used_ts: row.get(11)?,
    })
}

/// Returns the request with an id, even if it has ended.
pub fn find(tx: &ReadTx<'_>, id: &str) -> Result<Option<OAuthRequest>, DbError> {
    tx.query_opt(&FIND, &params![id], from_row)
}

/// Returns the request whose code has a digest, even if the code has ended or was used.
pub fn by_code(tx: &ReadTx<'_>, code_hash: &TokenHash) -> Result<Option<OAuthRequest>, DbError> {
    tx.query_opt(&BY_CODE, &params![code_hash], from_row)
}

/// Stores a request.
pub fn insert(tx: &mut Tx<'_>, new: &NewOAuthRequest) -> Result<(), DbError> {
    let params = params![
        new.id,
        new.client_id,
        new.redirect_uri,
        new.response_mode,
        new.state,
        new.scope,
        new.code_challenge,
        new.proves_again,
        new.created_ts,
        new.ends_ts
    ];
    tx.execute(&INSERT, &params)?;
    Ok(())
}

/// Stores the account that allowed a request, and the digest and the end of the code.
pub fn allow(
    tx: &mut Tx<'_>,
    id: &str,
    user_num: UserNum,
    code_hash: &TokenHash,
    code_ends_ts: Millis,
) -> Result<(), DbError> {
    tx.execute(&ALLOW, &params![id, user_num, code_hash, code_ends_ts])?;
    Ok(())
}

/// Notes that the code of a request was exchanged.
pub fn set_used(tx: &mut Tx<'_>, id: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&USE, &params![id, now])?;
    Ok(())
}

/// Deletes a request.
pub fn delete(tx: &mut Tx<'_>, id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![id])?;
    Ok(())
}

/// Deletes the requests that an account allowed, with their codes.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])
}

/// Deletes up to `most` requests that ended before a time; returns true if there may be more.
pub fn prune(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<bool, DbError> {
    let deleted = tx.execute(&PRUNE, &params![before, most])?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX) >= most)
}
