//! Account validity: the times at which accounts expire.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Millis;

reeve_db::statements! {
    FIND = "SELECT expiration_ts, renewal_emails FROM account_validity WHERE user_id = $1";
    SET = "INSERT INTO account_validity (user_id, expiration_ts, renewal_emails) VALUES ($1, $2, $3) \
           ON CONFLICT (user_id) DO UPDATE SET expiration_ts = excluded.expiration_ts, \
           renewal_emails = excluded.renewal_emails";
    DELETE = "DELETE FROM account_validity WHERE user_id = $1";
}

/// The validity of an account that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The time until which it is valid.
    pub expiration_ts: Millis,
    /// True if its owner is to be reminded by e-mail.
    pub renewal_emails: bool,
}

/// Returns the validity of an account; `None` if it does not expire.
pub fn find(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<Validity>, DbError> {
    tx.query_opt(&FIND, &params![user_id], |row| {
        Ok(Validity { expiration_ts: row.get(0)?, renewal_emails: row.get(1)? })
    })
}

/// Sets the validity of an account, which need not exist yet.
pub fn set(tx: &mut Tx<'_>, user_id: &str, validity: Validity) -> Result<(), DbError> {
    let Validity { expiration_ts, renewal_emails } = validity;
    tx.execute(&SET, &params![user_id, expiration_ts, renewal_emails])?;
    Ok(())
}

/// Lets an account not expire.
pub fn delete(tx: &mut Tx<'_>, user_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_id])?;
    Ok(())
}
