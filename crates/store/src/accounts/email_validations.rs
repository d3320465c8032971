//! Proofs that e-mail addresses belong to people, complete or not. There are few of one address.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{EmailPurpose, Millis, TokenHash, UserNum};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT sid, purpose, address, user_num, secret_hash, send_attempt, next_link, created_ts, expires_ts, \
             validated_ts FROM email_validations WHERE ",
            $rest
        )
    };
}

reeve_db::statements! {
    FIND = select!("sid = $1 AND expires_ts > $2");
    BY_TOKEN = select!("token_hash = $1 AND expires_ts > $2");
    OF_ADDRESS = select!("address = $1 AND expires_ts > $2 ORDER BY created_ts DESC, sid");
    INSERT = "INSERT INTO email_validations (sid, purpose, address, user_num, secret_hash, token_hash, send_attempt, next_link, \
              created_ts, expires_ts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    SEND_AGAIN = "UPDATE email_validations SET user_num = $2, token_hash = $3, send_attempt = $4, next_link = $5, expires_ts = $6 \
                  WHERE sid = $1";
    SET_VALIDATED = "UPDATE email_validations SET validated_ts = $2, expires_ts = $3 WHERE sid = $1";
    DELETE = "DELETE FROM email_validations WHERE sid = $1";
    DELETE_OF_USER = "DELETE FROM email_validations WHERE user_num = $1";
    DELETE_LINKS = "DELETE FROM email_validations WHERE user_num = $1 AND (purpose = 'reset' OR secret_hash IS NULL)";
    PRUNE = "DELETE FROM email_validations WHERE sid IN \
             (SELECT sid FROM email_validations WHERE expires_ts <= $1 ORDER BY expires_ts LIMIT $2)";
}

/// A proof that an e-mail address is somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Its id.
    pub sid: String,
    /// The purpose of the proof.
    pub purpose: EmailPurpose,
    /// The canonical address.
    pub address: String,
    /// The account to which the address is to be added, or whose password is to be set.
    pub user_num: Option<UserNum>,
    /// The digest of the secret of the client that began it; `None` if it was begun on a page of the server.
    pub secret_hash: Option<TokenHash>,
    /// The number of the last request for a mail, which the client counts.
    pub send_attempt: i64,
    /// The URL at which a browser continues.
    pub next_link: Option<String>,
    /// The time at which it was begun.
    pub created_ts: Millis,
    /// The time from which on it counts as gone.
    pub expires_ts: Millis,
    /// The time at which it was completed.
    pub validated_ts: Option<Millis>,
}

fn from_row(row: &Row<'_>) -> Result<Validation, DbError> {
    Ok(Validation {
        sid: row.get(0)?,
        purpose: row.get(1)?,
        address: row.get(2)?,
        user_num: row.get(3)?,
        secret_hash: row.get(4)?,
        send_attempt: row.get(5)?,
        next_link: row.get(6)?,
        created_ts: row.get(7)?,
        expires_ts: row.get(8)?,
        validated_ts: row.get(9)?,
    })
}

/// Returns the proof with an id, unless its time is over.
pub fn find(tx: &ReadTx<'_>, sid: &str, now: Millis) -> Result<Option<Validation>, DbError> {
    tx.query_opt(&FIND, &params![sid, now], from_row)
}

/// Returns the proof to which the link in the last mail leads, unless its time is over.
pub fn by_token(tx: &ReadTx<'_>, token_hash: &TokenHash, now: Millis) -> Result<Option<Validation>, DbError> {
    tx.query_opt(&BY_TOKEN, &params![token_hash, now], from_row)
}

/// Returns the proofs of an address whose time is not over, the newest first.
pub fn of_address(tx: &ReadTx<'_>, address: &str, now: Millis) -> Result<Vec<Validation>, DbError> {
    tx.query(&OF_ADDRESS, &params![address, now], from_row)
}

/// Adds a proof that is not complete, with the digest of the token in the link of its mail, if that has one.
pub fn insert(
    tx: &mut Tx<'_>,
    validation: &Validation,
    token_hash: Option<&TokenHash>,
) -> Result<(), DbError> {
    let Validation { sid, purpose, address, user_num, secret_hash, .. } = validation;
    let Validation { send_attempt, next_link, created_ts, expires_ts, .. } = validation;
    tx.execute(
        &INSERT,
        &params![
            sid,
            *purpose,
            address,
            *user_num,
            *secret_hash,
            token_hash,
            *send_attempt,
            next_link,
            *created_ts,
            *expires_ts
        ],
    )?;
    Ok(())
}

/// Stores what another mail for a proof changes.
pub fn send_again(
    tx: &mut Tx<'_>,
    validation: &Validation,
    token_hash: Option<&TokenHash>,
) -> Result<(), DbError> {
    let Validation { sid, user_num, send_attempt, next_link, expires_ts, .. } = validation;
    tx.execute(&SEND_AGAIN, &params![sid, *user_num, token_hash, *send_attempt, next_link, *expires_ts])?;
    Ok(())
}

/// Completes a proof, which can be used until a time.
pub fn set_validated(tx: &mut Tx<'_>, sid: &str, now: Millis, until: Millis) -> Result<(), DbError> {
    tx.execute(&SET_VALIDATED, &params![sid, now, until])?;
    Ok(())
}

/// Deletes a proof.
pub fn delete(tx: &mut Tx<'_>, sid: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![sid])?;
    Ok(())
}

/// Deletes the proofs for an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])?;
    Ok(())
}

/// Deletes the proofs for an account that are used without a session of it: those by which a new password can be chosen, and those
/// that were begun on a page, whose link alone adds an address.
pub fn delete_links(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    tx.execute(&DELETE_LINKS, &params![user_num])?;
    Ok(())
}

/// Deletes up to `most` proofs whose time is over; returns true if there may be more.
pub fn prune(tx: &mut Tx<'_>, now: Millis, most: i64) -> Result<bool, DbError> {
    let deleted = tx.execute(&PRUNE, &params![now, most])?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX) >= most)
}
