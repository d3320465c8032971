//! Until when accounts are valid.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Millis;

reeve_db::statements! {
    FIND = "SELECT expiration_ts, renewal_emails FROM account_validity WHERE user_id = $1";
    SET = "INSERT INTO account_validity (user_id, expiration_ts, renewal_emails) VALUES ($1, $2, $3) \
           ON CONFLICT (user_id) DO UPDATE SET expiration_ts = excluded.expiration_ts, \
           renewal_emails = excluded.renewal_emails";
    DELETE = "DELETE FROM account_validity WHERE user_id = $1";
}

/// Until when an account is valid, in milliseconds, and whether its owner is reminded by e-mail.
pub fn find(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<(Millis, bool)>, DbError> {
    tx.query_opt(&FIND, &params![user_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Sets until when an account, which need not exist yet, is valid.
pub fn set(
    tx: &mut Tx<'_>,
    user_id: &str,
    expiration_ts: Millis,
    renewal_emails: bool,
) -> Result<(), DbError> {
    tx.execute(&SET, &params![user_id, expiration_ts, renewal_emails])?;
    Ok(())
}

/// Lets an account be valid for ever.
pub fn delete(tx: &mut Tx<'_>, user_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_id])?;
    Ok(())
}
