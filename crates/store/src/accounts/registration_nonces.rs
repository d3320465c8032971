//! Nonces of shared-secret registration: each is valid for one request, in any process and after a restart.

use reeve_db::{DbError, Tx, params};
use reeve_model::Millis;

reeve_db::statements! {
    INSERT = "INSERT INTO registration_nonces (nonce, valid_until_ts) VALUES ($1, $2)";
    TAKE = "DELETE FROM registration_nonces WHERE nonce = $1 RETURNING valid_until_ts";
    PRUNE = "DELETE FROM registration_nonces WHERE valid_until_ts <= $1";
}

/// Stores a nonce until a time in milliseconds.
pub fn insert(tx: &mut Tx<'_>, nonce: &str, valid_until_ts: Millis) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![nonce, valid_until_ts])?;
    Ok(())
}

/// Deletes a nonce; returns true if it was valid.
pub fn take(tx: &mut Tx<'_>, nonce: &str, now: Millis) -> Result<bool, DbError> {
    let found: Vec<Millis> = tx.returning(&TAKE, &params![nonce], |row| row.get(0))?;
    Ok(found.first().is_some_and(|until| *until > now))
}

/// Deletes expired nonces; returns their number.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<u64, DbError> {
    tx.execute(&PRUNE, &params![now])
}
