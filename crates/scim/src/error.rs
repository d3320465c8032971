//! The errors of SCIM. The code of an error is its `scimType`.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.12>

use std::borrow::Cow;

use reeve_app::MatrixError;

pub(crate) fn invalid_filter(text: impl Into<Cow<'static, str>>) -> MatrixError {
    MatrixError::new(400, "invalidFilter", text)
}

pub(crate) fn invalid_path(text: impl Into<Cow<'static, str>>) -> MatrixError {
    MatrixError::new(400, "invalidPath", text)
}

pub(crate) fn invalid_value(text: impl Into<Cow<'static, str>>) -> MatrixError {
    MatrixError::new(400, "invalidValue", text)
}

pub(crate) fn invalid_syntax(text: impl Into<Cow<'static, str>>) -> MatrixError {
    MatrixError::new(400, "invalidSyntax", text)
}

pub(crate) fn mutability(name: &str) -> MatrixError {
    MatrixError::new(400, "mutability", format!("'{name}' cannot be changed"))
}

pub(crate) fn no_target(text: impl Into<Cow<'static, str>>) -> MatrixError {
    MatrixError::new(400, "noTarget", text)
}

pub(crate) fn too_many(text: impl Into<Cow<'static, str>>) -> MatrixError {
    MatrixError::new(400, "tooMany", text)
}

pub(crate) fn uniqueness(text: impl Into<Cow<'static, str>>) -> MatrixError {
    MatrixError::new(409, "uniqueness", text)
}

/// The resource changed since the client read it.
pub(crate) fn stale() -> MatrixError {
    MatrixError::new(412, "", "The resource has another version")
}

/// Returns the error for a refused deed on accounts.
pub(crate) fn of_accounts(error: reeve_accounts::Error) -> MatrixError {
    use reeve_accounts::Error;
    match error {
        Error::UserInUse | Error::ExternalIdInUse => uniqueness(error.to_string()),
        error => error.into(),
    }
}

pub(crate) const MALFORMED: (u16, &str, &str) =
    (400, "invalidSyntax", "'schemas' is missing or another one, or a value has the wrong type");
pub(crate) const BAD_VALUE: (u16, &str, &str) = (400, "invalidValue", "a value is missing or not valid");
pub(crate) const BAD_FILTER: (u16, &str, &str) =
    (400, "invalidFilter", "the filter is malformed, or names an unknown attribute");
pub(crate) const BAD_PATH: (u16, &str, &str) =
    (400, "invalidPath", "a path is malformed, or names an unknown attribute");
pub(crate) const NO_TARGET: (u16, &str, &str) = (400, "noTarget", "a path is missing, or selects nothing");
pub(crate) const FIXED: (u16, &str, &str) =
    (400, "mutability", "an attribute cannot be changed, or not be removed");
pub(crate) const TOO_MANY: (u16, &str, &str) =
    (400, "tooMany", "the filter would have to look at too many resources, or there are too many members");
pub(crate) const TAKEN: (u16, &str, &str) =
    (409, "uniqueness", "the name or external id belongs to another account, or the name to an erased one");
pub(crate) const STALE: (u16, &str, &str) = (412, "", "'If-Match' has another version than the resource");
pub(crate) const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such resource");
pub(crate) const REFUSED: (u16, &str, &str) =
    (403, "M_FORBIDDEN", "the caller lacks a scope that the change needs, or one of the account or role");
