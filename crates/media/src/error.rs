//! Why a deed on media is refused, in the words of the domain. The HTTP layer translates these in one place.

use reeve_db::DbError;

/// Why a deed on media is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such upload, or it must not be seen.
    #[error("Media not found")]
    NotFound,
    /// The media id was given out, and the bytes have not come.
    #[error("Media has not been uploaded yet")]
    NotYetUploaded,
    /// The media id was not given out, or too long ago.
    #[error("Unknown media ID")]
    UnknownId,
    /// The media id was given out to somebody else.
    #[error("Only the creator of the media ID may upload to it")]
    NotYours,
    /// The bytes of the media id are there already.
    #[error("Media ID already has content")]
    AlreadyUploaded,
    /// Too many media ids wait for their bytes; how many milliseconds to wait.
    #[error("Too Many Requests")]
    TooManyPending(i64),
    /// The upload is longer than any may be.
    #[error("Upload request body is too large")]
    TooLarge,
    /// The account has uploaded as much as it may.
    #[error("You have reached your limit of uploads")]
    AccountFull,
    /// All accounts together have uploaded as much as they may.
    #[error("This server has no more room for uploads")]
    ServerFull,
    /// No thumbnail can be made of it.
    #[error("Cannot generate thumbnails for the requested content")]
    NotAPicture,
    /// It is a picture with more pixels than this server decodes.
    #[error("Content is too large to thumbnail")]
    PictureTooLarge,
    /// Too many requests at once.
    #[error("The server is busy")]
    Busy,
    /// The store could not do it; the text is for the log.
    #[error("the media store failed: {0}")]
    Store(String),
    /// The account that uploads may not have anything stored.
    #[error(transparent)]
    Account(#[from] reeve_accounts::Error),
    /// The database could not do it.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Error {
    /// What went wrong in the store.
    pub(crate) fn store(reason: impl ToString) -> Self {
        Self::Store(reason.to_string())
    }
}
