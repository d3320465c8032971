//! The reasons why a deed on rooms is refused, in terms of the domain, and the Matrix error of each.

use reeve_db::DbError;
use reeve_jobs::StepError;
use reeve_model::MatrixError;

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
    /// Somebody else changed the report; the number of its changes.
    #[error("The report was changed by somebody else. The number of its changes is {0}")]
    ReportChanged(i64),
    /// There is no such room in the bin.
    #[error("There is no such room in the bin")]
    NotInBin,
    /// A precondition failed; the text says which.
    #[error("{0}")]
    Refused(String),
    /// A deed on accounts was refused.
    #[error(transparent)]
    Account(#[from] reeve_accounts::Error),
    /// A deed on media was refused.
    #[error(transparent)]
    Media(#[from] reeve_media::Error),
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

impl From<Error> for MatrixError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Db(error) => error.into(),
            Error::Account(error) => error.into(),
            Error::Media(error) => error.into(),
            Error::Forbidden(_) => Self::forbidden(text),
            Error::InviteBlocked => Self::new(403, "M_INVITE_BLOCKED", text),
            Error::Blocked => Self::new(403, "M_UNKNOWN", text),
            Error::NotFound(_) | Error::Missing(_) | Error::NotInBin => Self::not_found(text),
            Error::Invalid(_) => Self::invalid_param(text),
            Error::BadContent(_) => Self::bad_json(text),
            Error::TooLarge(_) => Self::too_large(text),
            Error::UnsupportedVersion => Self::bad_request("M_UNSUPPORTED_ROOM_VERSION", text),
            Error::AliasInUse(_) | Error::ReportChanged(_) => Self::new(409, "M_UNKNOWN", text),
            Error::BadAlias(_) => Self::bad_request("M_BAD_ALIAS", text),
            Error::InvalidRoomState(_) => Self::bad_request("M_INVALID_ROOM_STATE", text),
            Error::BadState(_) => Self::new(403, "M_BAD_STATE", text),
            Error::NoticeRoom => Self::new(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM", text),
            Error::DuplicateAnnotation => Self::bad_request("M_DUPLICATE_ANNOTATION", text),
            Error::Suspended(_) => Self::new(403, "M_USER_SUSPENDED", text),
            Error::Refused(_) => Self::unknown(text),
        }
    }
}
