//! Identifiers of accounts and passwords in requests.

use reeve_accounts::{Error, threepids as threepid_rules};
use reeve_app::MatrixError;
use reeve_app::credentials::Identifier;
use serde_json::Value;

use super::bad_parameter;

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
