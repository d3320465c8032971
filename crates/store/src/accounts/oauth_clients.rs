//! Clients that registered themselves with OAuth 2.0.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Millis;

reeve_db::statements! {
    FIND = "SELECT metadata, last_used_ts FROM oauth_clients WHERE client_id = $1";
    INSERT = "INSERT INTO oauth_clients (client_id, metadata, created_ts, last_used_ts) VALUES ($1, $2, $3, $3)";
    USE = "UPDATE oauth_clients SET last_used_ts = $2 WHERE client_id = $1";
    UNUSED = "SELECT client_id FROM oauth_clients WHERE last_used_ts < $1 ORDER BY last_used_ts LIMIT $2";
    DELETE = "DELETE FROM oauth_clients WHERE client_id = $1";
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthClient {
    /// The part of its registration that was kept, as JSON.
    pub metadata: String,
    /// The time at which it was last noted that it is used.
    pub last_used_ts: Millis,
}

/// Returns a client.
pub fn find(tx: &ReadTx<'_>, client_id: &str) -> Result<Option<OAuthClient>, DbError> {
    tx.query_opt(&FIND, &params![client_id], |row| {
        Ok(OAuthClient { metadata: row.get(0)?, last_used_ts: row.get(1)? })
    })
}

/// Stores a client.
pub fn insert(tx: &mut Tx<'_>, client_id: &str, metadata: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![client_id, metadata, now])?;
    Ok(())
}

/// Notes that a client is used.
pub fn touch(tx: &mut Tx<'_>, client_id: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&USE, &params![client_id, now])?;
    Ok(())
}

/// Returns the ids of up to `most` clients that were not used since a time.
pub fn unused_since(tx: &ReadTx<'_>, ts: Millis, most: i64) -> Result<Vec<String>, DbError> {
    tx.query(&UNUSED, &params![ts, most], |row| row.get(0))
}

/// Deletes a client.
pub fn delete(tx: &mut Tx<'_>, client_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![client_id])?;
    Ok(())
}
