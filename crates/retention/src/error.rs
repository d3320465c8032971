//! The reasons why a run is refused, and the Matrix error of each.

use reeve_db::DbError;
use reeve_model::MatrixError;

/// The reason why a run is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings give the rule no time, and neither does the order.
    #[error("Neither the settings nor the order give this rule a time")]
    NoTime,
    /// The time of an order is less than a day ago, or no time.
    #[error("What is less than a day old is not deleted")]
    TooYoung,
    /// Messages have lifetimes by room.
    #[error("The lifetimes of messages are in the settings and in rooms: an order gives no time")]
    OwnLifetimes,
    /// The settings do not let messages be deleted.
    #[error("The settings do not let messages be deleted: retention.messages.enabled")]
    Disabled,
    /// An order would delete entries of the audit log that the settings keep.
    #[error("Entries of the audit log are deleted as the settings say, and no earlier")]
    KeepsAudit,
    /// A run of the rule is not over; the id of its job.
    #[error("A run of this rule is not over: its job is {0}")]
    Running(String),
    /// A right is missing.
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
            Error::NoTime => Self::bad_request("M_MISSING_PARAM", text),
            Error::TooYoung | Error::OwnLifetimes => Self::invalid_param(text),
            Error::KeepsAudit => Self::forbidden(text),
            Error::Disabled | Error::Running(_) => Self::new(409, "M_UNKNOWN", text),
            Error::Accounts(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}
