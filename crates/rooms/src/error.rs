//! The reasons why a deed on rooms is refused, in terms of the domain. The HTTP layer maps them to Matrix errors in one
//! place.

use reeve_db::DbError;
use reeve_jobs::StepError;

/// The reason why a deed on rooms is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules of the room, or of this server, forbid it.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or the user must not know of it.
    #[error("{0}")]
    NotFound(&'static str),
    /// There is no such thing; the text says which.
    #[error("{0}")]
    Missing(String),
    /// A value is invalid.
    #[error("{0}")]
    Invalid(String),
    /// The content of an event breaks the rules for canonical JSON or its own.
    #[error("{0}")]
    BadContent(String),
    /// An event, or a part of it, is larger than allowed.
    #[error("{0}")]
    TooLarge(&'static str),
    /// The room version is not supported.
    #[error("Your homeserver does not support this room version")]
    UnsupportedVersion,
    /// The alias is taken.
    #[error("{0}")]
    AliasInUse(String),
    /// The alias in an event does not belong to the room.
    #[error("{0}")]
    BadAlias(String),
    /// A new room cannot be created with the requested state.
    #[error("{0}")]
    InvalidRoomState(String),
    /// The deed contradicts the present state of the room.
    #[error("{0}")]
    BadState(String),
    /// The sender already annotated the event in this way.
    #[error("Can't send same reaction twice")]
    DuplicateAnnotation,
    /// The acting account is suspended.
    #[error("{0}")]
    Suspended(&'static str),
    /// Invitations to notice rooms cannot be declined.
    #[error("You cannot reject this invite")]
    NoticeRoom,
    /// The room was blocked by an administrator.
    #[error("This room has been blocked on this server")]
    Blocked,
    /// The invited user takes no invites.
    #[error("The user does not accept invites")]
    InviteBlocked,
    /// A precondition failed; the text says which.
    #[error("{0}")]
    Refused(String),
    /// A deed on accounts was refused.
    #[error(transparent)]
    Account(#[from] reeve_accounts::Error),
    /// An error of the database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        match error {
            Error::Db(error) => Self::Db(error),
            other => Self::Hopeless(other.to_string()),
        }
    }
}

impl Error {
    /// Returns [`Error::Forbidden`].
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::Forbidden(text.into())
    }

    /// Returns the error for stored data that cannot be read.
    pub fn internal(text: impl std::fmt::Display) -> Self {
        Self::Db(DbError::Internal(text.to_string()))
    }
}
