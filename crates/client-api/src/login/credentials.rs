//! Identifiers of accounts, and the verification of their passwords.

use reeve_accounts::{Error, password::Verdict, password_change, threepids as threepid_rules};
use reeve_app::limits::Bucket;
use reeve_app::{Call, MatrixError};
use reeve_db::DbError;
use reeve_model::{User, id};
use reeve_store::{threepids, users};
use serde_json::Value;

use super::bad_parameter;

/// An account identifier in a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identifier {
    /// A localpart or a full user id, case-insensitive.
    User(String),
    /// A third-party id, in canonical form.
    Threepid(String, String),
}

fn invalid() -> MatrixError {
    MatrixError::invalid_param("Invalid login submission")
}

/// An account and its password, as a login or a stage of user-interactive authentication claims them.
pub(super) struct Claim<'a> {
    pub(super) identifier: Option<&'a Value>,
    pub(super) user: Option<&'a Value>,
    pub(super) medium: Option<&'a Value>,
    pub(super) address: Option<&'a Value>,
    pub(super) password: Option<&'a Value>,
}

impl Claim<'_> {
    /// Reads the identifier, in the current form or in an older one.
    pub(super) fn identifier(&self) -> Result<Identifier, MatrixError> {
        if let (Some(medium), Some(address)) = (self.medium, self.address) {
            let (Value::String(medium), Value::String(address)) = (medium, address) else {
                return Err(invalid());
            };
            return threepid(medium, address);
        }
        match self.user {
            None | Some(Value::Null) => {}
            Some(Value::String(user)) => return Ok(Identifier::User(user.clone())),
            Some(_) => return Err(invalid()),
        }
        let identifier = match self.identifier {
            Some(Value::Object(identifier)) if !identifier.is_empty() => identifier,
            Some(Value::String(text)) if !text.is_empty() => return Err(no_type()),
            Some(_) | None => return Err(invalid()),
        };
        let Some(kind) = identifier.get("type") else { return Err(no_type()) };
        let text = |key: &str| identifier.get(key).and_then(Value::as_str);
        match kind.as_str() {
            Some("m.id.user") => match identifier.get("user") {
                None | Some(Value::Null) => {
                    Err(MatrixError::unknown("User identifier is missing 'user' key"))
                }
                Some(Value::String(user)) if user.is_empty() => {
                    Err(MatrixError::unknown("User identifier is missing 'user' key"))
                }
                Some(Value::String(user)) => Ok(Identifier::User(user.clone())),
                Some(_) => Err(invalid()),
            },
            Some("m.id.thirdparty") => match (text("medium"), text("address")) {
                (Some(medium), Some(address)) => threepid(medium, address),
                (Some(_), None) | (None, Some(_) | None) => {
                    Err(MatrixError::unknown("Invalid thirdparty identifier"))
                }
            },
            Some("m.id.phone") => {
                let number = text("phone").or_else(|| text("number"));
                let (Some(_), Some(number)) = (text("country"), number) else {
                    return Err(MatrixError::invalid_param("Invalid phone-type identifier"));
                };
                let digits: String = number.chars().filter(char::is_ascii_digit).collect();
                if digits.is_empty() {
                    return Err(MatrixError::invalid_param("Unable to parse phone number"));
                }
                Ok(Identifier::Threepid("msisdn".to_owned(), digits))
            }
            _ => Err(MatrixError::unknown("Unknown login identifier type")),
        }
    }

    /// Returns the password.
    pub(super) fn password(&self) -> Result<String, MatrixError> {
        match self.password {
            Some(Value::String(password)) => Ok(password.clone()),
            Some(_) | None => Err(bad_parameter("password")),
        }
    }
}

fn no_type() -> MatrixError {
    MatrixError::bad_request("M_MISSING_PARAM", "'identifier' dict has no key 'type'")
}

fn threepid(medium: &str, address: &str) -> Result<Identifier, MatrixError> {
    match threepid_rules::canonical(medium, address) {
        Ok(address) => Ok(Identifier::Threepid(medium.to_owned(), address)),
        // No account has a third-party id of an unknown medium.
        Err(Error::UnknownMedium(_)) => Ok(Identifier::Threepid(medium.to_owned(), address.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// An account whose password was verified.
pub(crate) struct Verified {
    /// The account.
    pub(crate) user: User,
    /// The stored hash that the password matched. A different hash later means that the password was changed
    /// meanwhile.
    pub(crate) password_hash: String,
}

/// Returns the account that has this password, or 403. The duration does not reveal whether the account exists; wrong
/// passwords are counted and limited.
pub(crate) async fn verify(
    call: &Call,
    identifier: Identifier,
    password: &str,
) -> Result<Verified, MatrixError> {
    let server_name = std::sync::Arc::clone(&call.app.server_name);
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
