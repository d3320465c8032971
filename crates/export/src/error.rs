//! The reasons why a deed on an export is refused, and the Matrix error of each.

use reeve_db::DbError;
use reeve_model::{ExportState, MatrixError};

/// The reason why a deed on an export is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such export, or its time is over.
    #[error("Export not found")]
    NotFound,
    /// The link is unknown, replaced or ended.
    #[error("The link is not valid or has ended")]
    BadLink,
    /// The recipient of an encrypted archive is not an age recipient.
    #[error("The recipient must be an X25519 recipient of age (age1…)")]
    BadRecipient,
    /// People cannot order archives of their own accounts on this server.
    #[error("This server does not make exports for users")]
    Disabled,
    /// The account has an export that is not over.
    #[error("An export of this account is not over")]
    Unfinished,
    /// The account ordered an export lately, or one of these parts that was too large; the milliseconds after which to retry.
    #[error("Too Many Requests")]
    TooSoon(i64),
    /// The export is not in a state in which this is possible.
    #[error("The export is {0}")]
    WrongState(ExportState),
    /// A deed on accounts was refused.
    #[error(transparent)]
    Accounts(#[from] reeve_accounts::Error),
    /// An error of the database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for MatrixError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound | Error::BadLink => Self::not_found(text),
            Error::BadRecipient => Self::invalid_param(text),
            Error::Disabled => Self::forbidden(text),
            Error::Unfinished | Error::WrongState(_) => Self::new(409, "M_UNKNOWN", text),
            Error::TooSoon(retry_after_ms) => Self::limit_exceeded(retry_after_ms),
            Error::Accounts(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}

/// The reason why an attempt to write an archive ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It may succeed later.
    #[error("{0}")]
    Transient(String),
    /// It will never succeed.
    #[error("{0}")]
    Hopeless(&'static str),
    /// The archive is larger than the operator allows.
    #[error("the archive is larger than the settings allow (exports.max_bytes); without media it is smaller")]
    TooLarge,
    /// The export was deleted, or another worker has it.
    #[error("the claim does not hold any more")]
    Lost,
}

impl Failure {
    /// Returns a failure that may not come again.
    pub(crate) fn transient(reason: impl ToString) -> Self {
        Self::Transient(reason.to_string())
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::transient(error)
    }
}

impl From<reeve_media::Error> for Failure {
    fn from(error: reeve_media::Error) -> Self {
        match error {
            reeve_media::Error::TooLarge => Self::TooLarge,
            error => Self::transient(error),
        }
    }
}

impl From<reeve_rooms::Error> for Failure {
    fn from(error: reeve_rooms::Error) -> Self {
        Self::transient(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::transient(error)
    }
}

impl From<zip::result::ZipError> for Failure {
    fn from(error: zip::result::ZipError) -> Self {
        Self::transient(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::transient(error)
    }
}
