//! Identifiers of accounts, and their passwords, as people claim them: to a client, or on a page.

use std::sync::Arc;

use reeve_accounts::login::Proof;
use reeve_accounts::password::Verdict;
use reeve_accounts::{Error, password_change};
use reeve_db::DbError;
use reeve_http::limits::Bucket;
use reeve_model::{MatrixError, User, id};
use reeve_store::{threepids, users};

use crate::Call;

/// Maximum length of a new password, in characters.
pub const MAX_PASSWORD: usize = 512;
/// Maximum length of an identifier, in bytes: more than any user id has, and any address to which mail can be sent.
const MAX_IDENTIFIER: usize = 1024;

/// An account identifier in a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// A localpart or a full user id, case-insensitive.
    User(String),
    /// A third-party id, in canonical form.
    Threepid(String, String),
}

impl Identifier {
    /// Returns its length, in bytes.
    fn length(&self) -> usize {
        match self {
            Self::User(user) => user.len(),
            Self::Threepid(medium, address) => medium.len() + address.len(),
        }
    }
}

/// An account whose password was verified.
pub struct Verified {
    /// The account.
    pub user: User,
    /// The stored hash that the password matched. A different hash later means that the password was changed
    /// meanwhile.
    pub password_hash: String,
}

impl Verified {
    /// Returns the proof for the login of an account that may log in. It counts against the limit of the account.
    pub fn proof(self, call: &Call) -> Result<Proof, MatrixError> {
        call.app.limiter.check(Bucket::LoginAccount(self.user.user_id), call.now)?;
        Ok(Proof::Password { user_num: self.user.num, hash: self.password_hash })
    }
}

/// Returns the account that has this password, or 403. The duration does not reveal whether the account exists; wrong
/// passwords are counted and limited.
pub async fn verify(call: &Call, identifier: Identifier, password: &str) -> Result<Verified, MatrixError> {
    // Wrong passwords are counted in memory, by the identifier.
    if identifier.length() > MAX_IDENTIFIER {
        return Err(Error::BadCredentials.into());
    }
    let server_name = Arc::clone(&call.app.server_name);
    let wanted = identifier.clone();
    let found = call
        .read(move |tx| -> Result<_, DbError> {
            let num = match &wanted {
                Identifier::Threepid(medium, address) => threepids::find_user(tx, medium, address)?,
                Identifier::User(user) => {
                    let full =
                        if user.starts_with('@') { user.clone() } else { format!("@{user}:{server_name}") };
                    let local =
                        id::split(&full).is_ok_and(|(_, domain)| domain.eq_ignore_ascii_case(&server_name));
                    if local {
                        users::resolve_case(tx, &full)?.map(|id| users::num(tx, &id)).transpose()?.flatten()
                    } else {
                        None
                    }
                }
            };
            let Some(num) = num else { return Ok(None) };
            let hash = users::password_hash(tx, num)?;
            Ok(users::by_num(tx, num)?.map(|user| (user, hash)))
        })
        .await?;
    let bucket = Bucket::LoginFailed(match (&found, &identifier) {
        (Some((user, _)), _) => user.user_id.clone(),
        (None, Identifier::User(user)) if user.starts_with('@') => user.to_lowercase(),
        (None, Identifier::User(user)) => format!("@{}:{}", user.to_lowercase(), call.app.server_name),
        (None, Identifier::Threepid(medium, address)) => format!("{medium} {address}"),
    });
    call.app.limiter.peek(bucket.clone(), call.now)?;
    let hash = found.as_ref().and_then(|(_, hash)| hash.as_deref());
    let verdict = call.app.hasher.verify(password, hash).await?;
    let (Some((user, Some(hash))), Verdict::Right | Verdict::RightButOld) = (found, verdict) else {
        call.app.limiter.check(bucket, call.now)?;
        return Err(Error::BadCredentials.into());
    };
    // The limit is checked again, so that simultaneous guesses do not all pass the check before any is counted.
    call.app.limiter.peek(bucket, call.now)?;
    let password_hash =
        if verdict == Verdict::RightButOld { rehash(call, &user, hash, password).await? } else { hash };
    Ok(Verified { user, password_hash })
}

/// Replaces a hash of another kind or cost, unless the password was changed meanwhile. Returns the hash that
/// the password matches.
async fn rehash(call: &Call, user: &User, old: String, password: &str) -> Result<String, MatrixError> {
    let new = call.app.hasher.hash(password).await?;
    let num = user.num;
    call.write(move |tx| password_change::renew_hash(tx, num, &old, &new)).await
}

/// Compares a new password with the present one, if the account must change it: refuses the same one, and returns the stored
/// hash that it does not match. That comes after the proof of identity, or it would help to guess the password.
pub async fn different(call: &Call, user: &User, password: &str) -> Result<Option<String>, MatrixError> {
    if !user.password_change_required {
        return Ok(None);
    }
    let num = user.num;
    let stored = call.read(move |tx| users::password_hash(tx, num)).await?;
    match call.app.hasher.verify(password, stored.as_deref()).await? {
        Verdict::Wrong => Ok(stored),
        Verdict::Right | Verdict::RightButOld => Err(Error::SamePassword.into()),
    }
}
