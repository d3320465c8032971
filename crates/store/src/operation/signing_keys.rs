//! The signing keys of this server.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Millis;

reeve_db::statements! {
    NEWEST = "SELECT version, secret FROM signing_keys ORDER BY created_ts DESC, version LIMIT 1";
    INSERT = "INSERT INTO signing_keys (version, secret, created_ts) VALUES ($1, $2, $3)";
}

/// Returns the key in use: its version and its PKCS#8 document.
pub fn newest(tx: &ReadTx<'_>) -> Result<Option<(String, Vec<u8>)>, DbError> {
    tx.query_opt(&NEWEST, &params![], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Stores a key.
pub fn insert(tx: &mut Tx<'_>, version: &str, secret: &[u8], now: Millis) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![version, secret, now])?;
    Ok(())
}
