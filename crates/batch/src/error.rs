//! The reasons why a batch is refused, and the Matrix error of each.

use reeve_db::DbError;
use reeve_model::MatrixError;

/// The reason why a deed on a batch is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such batch.
    #[error("Batch not found")]
    NotFound,
    /// A value of an order is not valid; the text says which.
    #[error("{0}")]
    Invalid(&'static str),
    /// The confirmation is unknown, expired or used, or belongs to another order or another caller.
    #[error("The confirmation is not valid for this order: show it again with dry_run")]
    NotConfirmed,
    /// More accounts are selected than were shown.
    #[error("{now} accounts are selected now, and {shown} were shown: show the order again with dry_run")]
    Grown {
        /// The number of accounts that were shown.
        shown: i64,
        /// The present number.
        now: i64,
    },
    /// The idempotency key was used for another order.
    #[error("The idempotency key was used for another order")]
    OtherOrder,
    /// The batch is over, or not in a state in which this is possible.
    #[error("The batch is {0}")]
    WrongState(reeve_model::JobState),
    /// A deed on accounts was refused.
    #[error(transparent)]
    Accounts(#[from] reeve_accounts::Error),
    /// A deed on media was refused.
    #[error(transparent)]
    Media(#[from] reeve_media::Error),
    /// A deed on rooms was refused.
    #[error(transparent)]
    Rooms(#[from] reeve_rooms::Error),
    /// An error of the database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Error {
    /// Returns the error of the database, if it is one, else itself.
    pub(crate) fn not_of_database(self) -> Result<Self, DbError> {
        match self {
            Self::Db(error)
            | Self::Accounts(reeve_accounts::Error::Db(error))
            | Self::Media(
                reeve_media::Error::Db(error) | reeve_media::Error::Account(reeve_accounts::Error::Db(error)),
            )
            | Self::Rooms(
                reeve_rooms::Error::Db(error) | reeve_rooms::Error::Account(reeve_accounts::Error::Db(error)),
            ) => Err(error),
            other => Ok(other),
        }
    }
}

impl From<Error> for MatrixError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound => Self::not_found(text),
            Error::Invalid(_) => Self::invalid_param(text),
            Error::NotConfirmed => Self::forbidden(text),
            Error::Grown { .. } | Error::OtherOrder | Error::WrongState(_) => {
                Self::new(409, "M_UNKNOWN", text)
            }
            Error::Accounts(error) => error.into(),
            Error::Media(error) => error.into(),
            Error::Rooms(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}
