//! User identifiers: their form, and the rules for names of new accounts.
//!
//! Grammar: <https://spec.matrix.org/v1.18/appendices/#user-identifiers>. Only the form of identifiers of
//! existing accounts is checked, since historical ones break the grammar.

use std::fmt;

use crate::error::MatrixError;

/// Maximum length of the user id of a new account, in characters.
pub const MAX_USER_ID: usize = 255;

/// The reason why a text is not a user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It does not start with `@`.
    Sigil,
    /// It has no `:` between localpart and server name.
    NoDomain,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sigil => "Expected UserID string to start with '@'",
            Self::NoDomain => "Expected UserID of the form '@localname:domain'",
        })
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for MatrixError {
    fn from(error: Malformed) -> Self {
        Self::invalid_param(error.to_string())
    }
}

/// Splits a user id of any server into localpart and server name; checks only its form.
pub fn split(user_id: &str) -> Result<(&str, &str), Malformed> {
    user_id.strip_prefix('@').ok_or(Malformed::Sigil)?.split_once(':').ok_or(Malformed::NoDomain)
}

/// The localpart of a user id; the whole text if it is not of that form.
pub fn localpart(user_id: &str) -> &str {
    split(user_id).map_or(user_id, |(localpart, _)| localpart)
}

/// True if the text after the first `:` is this server's name. The sigil is not checked.
pub fn domain_is(user_id: &str, server_name: &str) -> bool {
    user_id.split_once(':').is_some_and(|(_, domain)| domain == server_name)
}

/// The reason why a name is not allowed for a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// It has characters outside `a-z 0-9 . _ = - / +`.
    Characters,
    /// It is empty.
    Empty,
    /// It begins with an underscore.
    Underscore,
    /// The whole user id would be longer than [`MAX_USER_ID`].
    TooLong,
    /// It has digits only, which is the form of guests' names.
    Numeric,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "User ID can only contain characters a-z, 0-9, or '=_-./+'",
            Self::Empty => "User ID cannot be empty",
            Self::Underscore => "User ID may not begin with _",
            Self::TooLong => "User ID may not be longer than 255 characters",
            Self::Numeric => "Numeric user IDs are reserved for guest users.",
        })
    }
}

impl std::error::Error for BadName {}

impl From<BadName> for MatrixError {
    fn from(error: BadName) -> Self {
        Self::bad_request("M_INVALID_USERNAME", error.to_string())
    }
}

/// Checks the grammar of a new account's name, except [`BadName::Numeric`], which is checked only after it is
/// known that the name is free.
pub fn check_new_localpart(localpart: &str, server_name: &str) -> Result<(), BadName> {
    let allowed = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '=' | '_' | '-' | '.' | '/' | '+')
    };
    if !localpart.chars().all(allowed) {
        return Err(BadName::Characters);
    }
    if localpart.is_empty() {
        return Err(BadName::Empty);
    }
    if localpart.starts_with('_') {
        return Err(BadName::Underscore);
    }
    if localpart.chars().count() + server_name.chars().count() + 2 > MAX_USER_ID {
        return Err(BadName::TooLong);
    }
    Ok(())
}

/// True if a name has digits only, like guests' names.
pub fn is_numeric(localpart: &str) -> bool {
    !localpart.is_empty() && localpart.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape() {
        assert_eq!(split("@a:b:8448"), Ok(("a", "b:8448")));
        assert_eq!(split("a:b"), Err(Malformed::Sigil));
        assert_eq!(split(""), Err(Malformed::Sigil));
        assert_eq!(split("@a"), Err(Malformed::NoDomain));
        assert!(domain_is("x:test", "test"));
        assert!(!domain_is("@x:TEST", "test"));
    }

    #[test]
    fn names() {
        assert_eq!(check_new_localpart("a.b_c=d-e/f+9", "test"), Ok(()));
        assert_eq!(check_new_localpart("A", "test"), Err(BadName::Characters));
        assert_eq!(check_new_localpart("ä", "test"), Err(BadName::Characters));
        assert_eq!(check_new_localpart("", "test"), Err(BadName::Empty));
        assert_eq!(check_new_localpart("_a", "test"), Err(BadName::Underscore));
        assert_eq!(check_new_localpart(&"a".repeat(249), "test"), Ok(()));
        assert_eq!(check_new_localpart(&"a".repeat(250), "test"), Err(BadName::TooLong));
        assert!(is_numeric("123") && !is_numeric("12a") && !is_numeric(""));
    }
}
