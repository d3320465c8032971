//! Mails to people that are not sent yet, each with its delivery ([`crate::deliveries`]). There is nothing before and after the
//! one message of a mail, so that its cursor is always 0.

use reeve_db::{DbError, ReadTx, Statement, Tx, Value, params};
use reeve_model::{DeliveryKind, Language, MailNum, Millis, UserNum};

use crate::deliveries;

reeve_db::statements! {
    INSERT = "INSERT INTO mails (address, user_num, language, letter, created_ts, ends_ts) VALUES ($1, $2, $3, $4, $5, $6) \
              RETURNING num";
    BY_NUM = "SELECT address, user_num, language, letter, created_ts, ends_ts FROM mails WHERE num = $1";
    DELETE = "DELETE FROM mails WHERE num = $1 RETURNING num";
    DELETE_OF_USER = "DELETE FROM mails WHERE user_num = $1 RETURNING num";
}

/// The cursor of the delivery of a mail.
pub const CURSOR: i64 = 0;

/// A mail that is not sent yet. It holds the token of its link, so it cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// The address of the recipient.
    pub address: String,
    /// The account that it is about.
    pub user_num: Option<UserNum>,
    /// The language of the recipient.
    pub language: Language,
    /// The contents, as JSON.
    pub letter: String,
    /// The time of its cause.
    pub created_ts: Millis,
    /// The time from which on it is of no use.
    pub ends_ts: Option<Millis>,
}

/// Adds a mail, which is due at once.
pub fn insert(tx: &mut Tx<'_>, mail: &StoredMail) -> Result<(), DbError> {
    let StoredMail { address, user_num, language, letter, created_ts, ends_ts } = mail;
    let values = params![address, *user_num, *language, letter, *created_ts, *ends_ts];
    let nums = tx.returning(&INSERT, &values, |row| row.get::<MailNum>(0))?;
    for num in &nums {
        deliveries::put(tx, DeliveryKind::Mail, *num, CURSOR, *created_ts)?;
    }
    deliveries::mark(tx, DeliveryKind::Mail, &nums, *created_ts)
}

/// Returns a mail; [`DbError::NoRow`] if there is none.
pub fn by_num(tx: &ReadTx<'_>, num: MailNum) -> Result<StoredMail, DbError> {
    tx.query_one(&BY_NUM, &params![num], |row| {
        Ok(StoredMail {
            address: row.get(0)?,
            user_num: row.get(1)?,
            language: row.get(2)?,
            letter: row.get(3)?,
            created_ts: row.get(4)?,
            ends_ts: row.get(5)?,
        })
    })
}

/// Deletes a mail.
pub fn delete(tx: &mut Tx<'_>, num: MailNum) -> Result<(), DbError> {
    delete_with(tx, &DELETE, &params![num])
}

/// Deletes the mails about an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    delete_with(tx, &DELETE_OF_USER, &params![user_num])
}

/// Deletes mails, each with its delivery, by a statement that returns their numbers. No mail is deleted otherwise.
fn delete_with(tx: &mut Tx<'_>, statement: &'static Statement, params: &[Value<'_>]) -> Result<(), DbError> {
    let nums = tx.returning(statement, params, |row| row.get::<MailNum>(0))?;
    deliveries::delete(tx, DeliveryKind::Mail, &nums)
}
