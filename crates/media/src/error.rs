//! Errors of deeds on media, in terms of the domain, and the Matrix error of each.

use reeve_db::DbError;
use reeve_model::MatrixError;

/// The error of a deed on media. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such upload, or it is not visible.
    #[error("Media not found")]
    NotFound,
    /// The media id exists, and its file was not uploaded yet.
    #[error("Media has not been uploaded yet")]
    NotYetUploaded,
    /// The media id does not exist or has expired.
    #[error("Unknown media ID")]
    UnknownId,
    /// The media id belongs to another account.
    #[error("Only the creator of the media ID may upload to it")]
    NotYours,
    /// The media id already has a file.
    #[error("Media ID already has content")]
    AlreadyUploaded,
    /// The account has too many pending media ids; the milliseconds after which to retry.
    #[error("Too Many Requests")]
    TooManyPending(i64),
    /// The upload exceeds the maximum size.
    #[error("Upload request body is too large")]
    TooLarge,
    /// The account has reached its limit of bytes.
    #[error("You have reached your limit of uploads")]
    AccountFull,
    /// The server has reached its limit of bytes.
    #[error("This server has no more room for uploads")]
    ServerFull,
    /// No thumbnail can be made of it.
    #[error("Cannot generate thumbnails for the requested content")]
    NotAPicture,
    /// A picture with more pixels than this server decodes.
    #[error("Content is too large to thumbnail")]
    PictureTooLarge,
    /// Too many concurrent requests.
    #[error("The server is busy")]
    Busy,
    /// There is no such upload in the bin.
    #[error("There is no such upload in the bin")]
    NotInBin,
    /// The upload stays deleted, since the account that made it was erased.
    #[error("The account that uploaded it was erased")]
    Erased,
    /// The store failed; the text is for the log.
    #[error("the media store failed: {0}")]
    Store(String),
    /// The uploading account may not store anything.
    #[error(transparent)]
    Account(#[from] reeve_accounts::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Error {
    /// An error of the store.
    pub(crate) fn store(reason: impl ToString) -> Self {
        Self::Store(reason.to_string())
    }
}

impl From<Error> for MatrixError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Db(error) => error.into(),
            // The uploader's session ended with the account.
            Error::Account(reeve_accounts::Error::Deactivated) => {
                Self::unknown_token("Invalid access token passed.", false)
            }
            Error::Account(error) => error.into(),
            Error::Store(_) => Self::internal(text),
            Error::NotFound | Error::UnknownId | Error::NotInBin => Self::not_found(text),
            Error::Erased => Self::new(409, "M_UNKNOWN", text),
            Error::NotYetUploaded => Self::new(504, "M_NOT_YET_UPLOADED", text),
            Error::NotYours | Error::AccountFull | Error::ServerFull => Self::forbidden(text),
            Error::AlreadyUploaded => Self::new(409, "M_CANNOT_OVERWRITE_MEDIA", text),
            Error::TooManyPending(retry_after_ms) => Self::limit_exceeded(retry_after_ms),
            Error::TooLarge | Error::PictureTooLarge => Self::too_large(text),
            Error::NotAPicture => Self::unknown(text),
            Error::Busy => Self::unavailable(text),
        }
    }
}
