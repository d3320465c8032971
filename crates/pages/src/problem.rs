//! Problems of forms, in words of the message files.

use reeve_accounts::policy::WeakPassword;
use reeve_app::MatrixError;
use serde::Serialize;

/// Something that is wrong with a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// The id of the field.
    field: Option<&'static str>,
    /// The key of the text.
    key: &'static str,
    /// The number in the text.
    number: Option<u32>,
    /// The text of the error itself, in English.
    said: Option<String>,
}

impl Problem {
    /// Returns a problem with the form as a whole.
    pub(crate) const fn new(key: &'static str) -> Self {
        Self { field: None, key, number: None, said: None }
    }

    /// Returns a problem with a field.
    pub(crate) const fn at(field: &'static str, key: &'static str) -> Self {
        Self { field: Some(field), key, number: None, said: None }
    }

    /// Returns the problem as one with the form as a whole.
    pub(crate) fn of_form(self) -> Self {
        Self { field: None, ..self }
    }

    /// Returns the problem that the refusal of a deed is; the error itself if it is not about what was asked for.
    pub(crate) fn of_refusal(error: MatrixError) -> Result<Self, MatrixError> {
        match error.status {
            400 | 403 | 404 | 409 => {
                Ok(Self { said: Some(error.error.into_owned()), ..Self::new("problem-said") })
            }
            _ => Err(error),
        }
    }

    /// Returns the problem that a password is too weak.
    pub(crate) fn weak(field: &'static str, weakness: WeakPassword) -> Self {
        match weakness {
            WeakPassword::TooShort(length) => {
                Self { number: Some(length), ..Self::at(field, "password-too-short") }
            }
            WeakPassword::NoDigit => Self::at(field, "password-no-digit"),
            WeakPassword::NoSymbol => Self::at(field, "password-no-symbol"),
            WeakPassword::NoUppercase => Self::at(field, "password-no-uppercase"),
            WeakPassword::NoLowercase => Self::at(field, "password-no-lowercase"),
            WeakPassword::Name => Self::at(field, "password-is-name"),
        }
    }
}
