//! Registration tokens: their limits, and counts of their uses.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::Millis;

macro_rules! columns {
    () => {
        "token, uses_allowed, pending, completed, expiry_ts"
    };
}

reeve_db::statements! {
    ALL = concat!("SELECT ", columns!(), " FROM registration_tokens ORDER BY num");
    FIND = concat!("SELECT ", columns!(), " FROM registration_tokens WHERE token = $1");
    INSERT = "INSERT INTO registration_tokens (token, uses_allowed, pending, completed, expiry_ts) \
              VALUES ($1, $2, 0, 0, $3) ON CONFLICT (token) DO NOTHING";
    SET_LIMITS = "UPDATE registration_tokens SET uses_allowed = $2, expiry_ts = $3 WHERE token = $1";
    /// The condition is part of the change, so that two users cannot take the last use.
    TAKE = "UPDATE registration_tokens SET pending = pending + 1 WHERE token = $1 \
            AND (uses_allowed IS NULL OR uses_allowed > pending + completed) AND (expiry_ts IS NULL OR expiry_ts > $2)";
    GIVE_BACK = "UPDATE registration_tokens SET pending = pending - 1 WHERE token = $1";
    COMPLETE = "UPDATE registration_tokens SET pending = pending - 1, completed = completed + 1 \
                WHERE token = $1";
    DELETE = "DELETE FROM registration_tokens WHERE token = $1";
    FIND_USE = "SELECT token FROM registration_token_uses WHERE session = $1";
    INSERT_USE = "INSERT INTO registration_token_uses (session, token, valid_until_ts) VALUES ($1, $2, $3)";
    DELETE_USE = "DELETE FROM registration_token_uses WHERE session = $1 RETURNING token";
    DELETE_USES_OF = "DELETE FROM registration_token_uses WHERE token = $1";
    EXPIRED_USES = "SELECT session FROM registration_token_uses WHERE valid_until_ts <= $1 LIMIT $2";
}

/// A registration token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// The token itself.
    pub token: String,
    /// The number of accounts that can be created with it; `None` for any number.
    pub uses_allowed: Option<i64>,
    /// The number of registrations in progress with it.
    pub pending: i64,
    /// The number of accounts that were created with it.
    pub completed: i64,
    /// The time of its expiry; `None` for never.
    pub expiry_ts: Option<Millis>,
}

impl RegistrationToken {
    /// Returns true if a registration could begin with it now.
    pub fn is_valid(&self, now: Millis) -> bool {
        self.uses_allowed.is_none_or(|allowed| allowed > self.pending.saturating_add(self.completed))
            && self.expiry_ts.is_none_or(|expiry| expiry > now)
    }
}

fn from_row(row: &Row<'_>) -> Result<RegistrationToken, DbError> {
    Ok(RegistrationToken {
        token: row.get(0)?,
        uses_allowed: row.get(1)?,
        pending: row.get(2)?,
        completed: row.get(3)?,
        expiry_ts: row.get(4)?,
    })
}

/// Returns all tokens, the oldest first.
pub fn all(tx: &ReadTx<'_>) -> Result<Vec<RegistrationToken>, DbError> {
    tx.query(&ALL, &[], from_row)
}

/// Returns one token.
pub fn find(tx: &ReadTx<'_>, token: &str) -> Result<Option<RegistrationToken>, DbError> {
    tx.query_opt(&FIND, &params![token], from_row)
}

/// Adds an unused token; returns true if there was none of this name.
pub fn insert(
    tx: &mut Tx<'_>,
    token: &str,
    uses_allowed: Option<i64>,
    expiry_ts: Option<Millis>,
) -> Result<bool, DbError> {
    Ok(tx.execute(&INSERT, &params![token, uses_allowed, expiry_ts])? > 0)
}

/// Changes the limits of a token.
pub fn set_limits(
    tx: &mut Tx<'_>,
    token: &str,
    uses_allowed: Option<i64>,
    expiry_ts: Option<Millis>,
) -> Result<(), DbError> {
    tx.execute(&SET_LIMITS, &params![token, uses_allowed, expiry_ts])?;
    Ok(())
}

/// Begins a registration with a token; returns true if the token can be used once more.
pub fn take(tx: &mut Tx<'_>, token: &str, now: Millis) -> Result<bool, DbError> {
    Ok(tx.execute(&TAKE, &params![token, now])? > 0)
}

/// Ends a registration in progress without an account.
pub fn give_back(tx: &mut Tx<'_>, token: &str) -> Result<(), DbError> {
    tx.execute(&GIVE_BACK, &params![token])?;
    Ok(())
}

/// Ends a registration in progress with an account.
pub fn complete(tx: &mut Tx<'_>, token: &str) -> Result<(), DbError> {
    tx.execute(&COMPLETE, &params![token])?;
    Ok(())
}

/// Deletes a token with its pending uses; returns true if it existed.
pub fn delete(tx: &mut Tx<'_>, token: &str) -> Result<bool, DbError> {
    tx.execute(&DELETE_USES_OF, &params![token])?;
    Ok(tx.execute(&DELETE, &params![token])? > 0)
}

/// Returns the token of the pending use of an authentication session.
pub fn find_use(tx: &ReadTx<'_>, session: &str) -> Result<Option<String>, DbError> {
    tx.query_opt(&FIND_USE, &params![session], |row| row.get(0))
}

/// Stores a pending use, until a time in milliseconds.
pub fn insert_use(
    tx: &mut Tx<'_>,
    session: &str,
    token: &str,
    valid_until_ts: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT_USE, &params![session, token, valid_until_ts])?;
    Ok(())
}

/// Deletes a pending use; returns its token.
pub fn delete_use(tx: &mut Tx<'_>, session: &str) -> Result<Option<String>, DbError> {
    Ok(tx.returning(&DELETE_USE, &params![session], |row| row.get(0))?.pop())
}

/// Returns authentication sessions whose pending uses have expired.
pub fn expired_uses(tx: &ReadTx<'_>, now: Millis, most: i64) -> Result<Vec<String>, DbError> {
    tx.query(&EXPIRED_USES, &params![now, most], |row| row.get(0))
}
