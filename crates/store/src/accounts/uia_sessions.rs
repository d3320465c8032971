//! Sessions of user-interactive authentication that are not complete.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Millis;

reeve_db::statements! {
    FIND = "SELECT operation, details FROM uia_sessions WHERE session = $1 AND valid_until_ts > $2";
    PUT = "INSERT INTO uia_sessions (session, operation, details, valid_until_ts) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (session) DO UPDATE SET details = excluded.details";
    DELETE = "DELETE FROM uia_sessions WHERE session = $1";
    EXPIRED = "SELECT session FROM uia_sessions WHERE valid_until_ts < $1 ORDER BY valid_until_ts LIMIT $2";
}

/// A session of user-interactive authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiaSession {
    /// The operation for which it may be used.
    pub operation: String,
    /// Its progress, as JSON.
    pub details: String,
}

/// Returns a session that has not expired.
pub fn find(tx: &ReadTx<'_>, session: &str, now: Millis) -> Result<Option<UiaSession>, DbError> {
    tx.query_opt(&FIND, &params![session, now], |row| {
        Ok(UiaSession { operation: row.get(0)?, details: row.get(1)? })
    })
}

/// Creates a session, or replaces its details.
pub fn put(
    tx: &mut Tx<'_>,
    session: &str,
    operation: &str,
    details: &str,
    valid_until_ts: Millis,
) -> Result<(), DbError> {
    tx.execute(&PUT, &params![session, operation, details, valid_until_ts])?;
    Ok(())
}

/// Ends a session.
pub fn delete(tx: &mut Tx<'_>, session: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![session])?;
    Ok(())
}

/// Returns the ids of up to `most` sessions that expired before a time.
pub fn expired(tx: &ReadTx<'_>, before: Millis, most: i64) -> Result<Vec<String>, DbError> {
    tx.query(&EXPIRED, &params![before, most], |row| row.get(0))
}
