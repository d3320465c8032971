//! Tokens that let people register: how often each can be used, and how often it was.

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
    /// The condition is part of the change, so that two people cannot take the last use.
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
    /// What people type.
    pub token: String,
    /// How many accounts it is good for; `None` for any number.
    pub uses_allowed: Option<i64>,
    /// How many registrations with it are under way.
    pub pending: i64,
    /// How many accounts were made with it.
    pub completed: i64,
    /// When it expires, in milliseconds; `None` for never.
    pub expiry_ts: Option<Millis>,
}

impl RegistrationToken {
    /// Whether somebody could register with it now.
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

/// All tokens, the oldest first.
pub fn all(tx: &ReadTx<'_>) -> Result<Vec<RegistrationToken>, DbError> {
    tx.query(&ALL, &[], from_row)
}

/// One token.
pub fn find(tx: &ReadTx<'_>, token: &str) -> Result<Option<RegistrationToken>, DbError> {
    tx.query_opt(&FIND, &params![token], from_row)
}

/// Adds a token that nobody has used; answers whether there was none of this name.
pub fn insert(
    tx: &mut Tx<'_>,
    token: &str,
    uses_allowed: Option<i64>,
    expiry_ts: Option<Millis>,
) -> Result<bool, DbError> {
    Ok(tx.execute(&INSERT, &params![token, uses_allowed, expiry_ts])? > 0)
}

/// Changes what a token is good for.
pub fn set_limits(
    tx: &mut Tx<'_>,
    token: &str,
    uses_allowed: Option<i64>,
    expiry_ts: Option<Millis>,
) -> Result<(), DbError> {
    tx.execute(&SET_LIMITS, &params![token, uses_allowed, expiry_ts])?;
    Ok(())
}

/// Begins a registration with a token; answers whether the token is good for one more.
pub fn take(tx: &mut Tx<'_>, token: &str, now: Millis) -> Result<bool, DbError> {
    Ok(tx.execute(&TAKE, &params![token, now])? > 0)
}

/// A registration under way was given up.
pub fn give_back(tx: &mut Tx<'_>, token: &str) -> Result<(), DbError> {
    tx.execute(&GIVE_BACK, &params![token])?;
    Ok(())
}

/// A registration under way made an account.
pub fn complete(tx: &mut Tx<'_>, token: &str) -> Result<(), DbError> {
    tx.execute(&COMPLETE, &params![token])?;
    Ok(())
}

/// Deletes a token and forgets its pending uses; answers whether it was there.
pub fn delete(tx: &mut Tx<'_>, token: &str) -> Result<bool, DbError> {
    tx.execute(&DELETE_USES_OF, &params![token])?;
    Ok(tx.execute(&DELETE, &params![token])? > 0)
}

/// The token of the pending use of an authentication session.
pub fn find_use(tx: &ReadTx<'_>, session: &str) -> Result<Option<String>, DbError> {
    tx.query_opt(&FIND_USE, &params![session], |row| row.get(0))
}

/// Writes a pending use down, until a time in milliseconds.
pub fn insert_use(
    tx: &mut Tx<'_>,
    session: &str,
    token: &str,
    valid_until_ts: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT_USE, &params![session, token, valid_until_ts])?;
    Ok(())
}

/// Forgets a pending use; answers its token.
pub fn delete_use(tx: &mut Tx<'_>, session: &str) -> Result<Option<String>, DbError> {
    Ok(tx.returning(&DELETE_USE, &params![session], |row| row.get(0))?.pop())
}

/// Authentication sessions whose pending uses have expired.
pub fn expired_uses(tx: &ReadTx<'_>, now: Millis, most: i64) -> Result<Vec<String>, DbError> {
    tx.query(&EXPIRED_USES, &params![now, most], |row| row.get(0))
}
