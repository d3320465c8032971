//! User-interactive authentication under way.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Millis;

reeve_db::statements! {
    FIND = "SELECT operation, details FROM uia_sessions WHERE session = $1 AND valid_until_ts > $2";
    PUT = "INSERT INTO uia_sessions (session, operation, details, valid_until_ts) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (session) DO UPDATE SET details = excluded.details";
    DELETE = "DELETE FROM uia_sessions WHERE session = $1";
    EXPIRED = "SELECT session, details FROM uia_sessions WHERE valid_until_ts < $1 ORDER BY valid_until_ts LIMIT $2";
}

/// The operation and the details (JSON) of a session that is still valid.
pub fn find(tx: &ReadTx<'_>, session: &str, now: Millis) -> Result<Option<(String, String)>, DbError> {
    tx.query_opt(&FIND, &params![session, now], |row| Ok((row.get(0)?, row.get(1)?)))
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

/// Sessions that expired before a time, with their details.
pub fn expired(tx: &ReadTx<'_>, before: Millis, most: i64) -> Result<Vec<(String, String)>, DbError> {
    tx.query(&EXPIRED, &params![before, most], |row| Ok((row.get(0)?, row.get(1)?)))
}
