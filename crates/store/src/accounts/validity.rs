//! Account validity: the times at which accounts expire.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, TokenHash};

reeve_db::statements! {
    FIND = "SELECT expiration_ts, renewal_emails FROM account_validity WHERE user_id = $1";
    SET = "INSERT INTO account_validity (user_id, expiration_ts, renewal_emails) VALUES ($1, $2, $3) \
           ON CONFLICT (user_id) DO UPDATE SET expiration_ts = excluded.expiration_ts, \
           renewal_emails = excluded.renewal_emails, reminded = 0, renewal_hash = NULL";
    DELETE = "DELETE FROM account_validity WHERE user_id = $1";
    ENDING = "SELECT user_id FROM account_validity WHERE reminded = 0 AND renewal_emails = 1 AND expiration_ts > $1 \
              AND expiration_ts <= $2 ORDER BY expiration_ts LIMIT $3";
    SET_REMINDED = "UPDATE account_validity SET reminded = 1, renewal_hash = $2 WHERE user_id = $1";
    BY_RENEWAL = "SELECT user_id, expiration_ts, reminded FROM account_validity WHERE renewal_hash = $1";
    RENEW = "UPDATE account_validity SET expiration_ts = $2, reminded = 0 WHERE user_id = $1";
}

/// The validity of an account that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The time until which it is valid.
    pub expiration_ts: Millis,
    /// True if its owner is to be reminded by e-mail, with a link that renews it.
    pub renewal_emails: bool,
}

/// Returns the validity of an account; `None` if it does not expire.
pub fn find(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<Validity>, DbError> {
    tx.query_opt(&FIND, &params![user_id], |row| {
        Ok(Validity { expiration_ts: row.get(0)?, renewal_emails: row.get(1)? })
    })
}

/// Sets the validity of an account, which need not exist yet. A link by which it could be renewed ends.
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

/// Returns the user ids of up to `most` accounts that expire between two times, whose owners are to be reminded and were not,
/// those that expire first at the beginning.
pub fn ending(tx: &ReadTx<'_>, after: Millis, until: Millis, most: i64) -> Result<Vec<String>, DbError> {
    tx.query(&ENDING, &params![after, until, most], |row| row.get(0))
}

/// Stores that the owner of an account was reminded; `renewal_hash` is the digest of the token in the link, if one was sent.
pub fn set_reminded(tx: &mut Tx<'_>, user_id: &str, renewal_hash: Option<&TokenHash>) -> Result<(), DbError> {
    tx.execute(&SET_REMINDED, &params![user_id, renewal_hash])?;
    Ok(())
}

/// The link by which an account is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The account.
    pub user_id: String,
    /// The time until which it is valid.
    pub expiration_ts: Millis,
    /// True if the link was used.
    pub is_used: bool,
}

/// Returns the renewal to which the link with a token leads.
pub fn by_renewal(tx: &ReadTx<'_>, renewal_hash: &TokenHash) -> Result<Option<Renewal>, DbError> {
    tx.query_opt(&BY_RENEWAL, &params![renewal_hash], |row| {
        let is_reminded: bool = row.get(2)?;
        Ok(Renewal { user_id: row.get(0)?, expiration_ts: row.get(1)?, is_used: !is_reminded })
    })
}

/// Renews an account by the last link, which is used by that.
pub fn renew(tx: &mut Tx<'_>, user_id: &str, expiration_ts: Millis) -> Result<(), DbError> {
    tx.execute(&RENEW, &params![user_id, expiration_ts])?;
    Ok(())
}
