//! The reasons why a deed is refused, and the Matrix error of each.

use reeve_db::DbError;
use reeve_model::{HappeningKind, MatrixError, Scope};

/// The reason why a deed on webhooks is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such webhook.
    #[error("Webhook not found")]
    NotFound,
    /// Another webhook has the name.
    #[error("A webhook of this name exists")]
    Exists,
    /// A value is not valid; the text says which.
    #[error("{0}")]
    Bad(&'static str),
    /// The URL leads to an address inside the network.
    #[error("The address is not on the public internet, and outgoing.allow_ranges does not have it")]
    Inside,
    /// The server has as many webhooks as the settings allow.
    #[error("The server cannot have more than {0} webhooks")]
    TooMany(i64),
    /// Nobody sends out what they may not read.
    #[error("You cannot send out {kind}: that needs the scope {scope}, which you do not hold")]
    MayNotRead {
        /// The kind.
        kind: HappeningKind,
        /// The scope.
        scope: Scope,
    },
    /// A webhook would go on after the end of the service token that set it up.
    #[error("A service token that expires cannot set up a webhook, which would outlive it")]
    Outlives,
    /// There is no such dead letter.
    #[error("Dead letter not found")]
    DeadLetterNotFound,
    /// An error of the database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for MatrixError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound | Error::DeadLetterNotFound => Self::not_found(text),
            Error::Exists => Self::new(409, "M_UNKNOWN", text),
            Error::Bad(_) | Error::Inside => Self::invalid_param(text),
            Error::TooMany(_) => Self::bad_request("M_TOO_LARGE", text),
            Error::MayNotRead { .. } | Error::Outlives => Self::forbidden(text),
            Error::Db(error) => error.into(),
        }
    }
}
