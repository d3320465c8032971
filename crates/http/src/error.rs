//! The Matrix error that a handler returns.

use std::borrow::Cow;

use http::StatusCode;
use reeve_accounts::Error as AccountError;
use reeve_accounts::policy::WeakPassword;
use reeve_db::DbError;
use reeve_media::Error as MediaError;
use reeve_model::id::{BadName, Malformed};
use reeve_rooms::Error as RoomError;
use serde_json::{Map, Value};

/// A Matrix error: an HTTP status and `{"errcode", "error", …}`.
/// See <https://spec.matrix.org/v1.18/client-server-api/#standard-error-response>.
#[derive(Debug, Clone)]
pub struct MatrixError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The machine-readable code, such as `M_NOT_FOUND`.
    pub errcode: Cow<'static, str>,
    /// The text for people.
    pub error: Cow<'static, str>,
    /// Further keys of the body, such as `soft_logout`.
    pub extra: Option<Box<Map<String, Value>>>,
    /// The internal cause, for the log only.
    pub cause: Option<String>,
}

impl MatrixError {
    /// An error with any status and code.
    pub fn new(
        status: StatusCode,
        errcode: impl Into<Cow<'static, str>>,
        error: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, errcode: errcode.into(), error: error.into(), extra: None, cause: None }
    }

    /// 400 with a code.
    pub fn bad_request(errcode: &'static str, error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, errcode, error)
    }

    /// 400 `M_UNKNOWN`: the error of many checks of the admin API, which clients compare.
    pub fn unknown(error: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("M_UNKNOWN", error)
    }

    /// 400 `M_INVALID_PARAM`.
    pub fn invalid_param(error: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("M_INVALID_PARAM", error)
    }

    /// 400 `M_BAD_JSON`.
    pub fn bad_json(error: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("M_BAD_JSON", error)
    }

    /// 400 `M_MISSING_PARAM` that names the missing keys.
    pub fn missing_params(keys: &[&str]) -> Self {
        let list = keys.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ");
        Self::bad_request("M_MISSING_PARAM", format!("Missing params: [{list}]"))
    }

    /// 403 `M_FORBIDDEN`.
    pub fn forbidden(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", error)
    }

    /// 404 `M_NOT_FOUND`.
    pub fn not_found(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_NOT_FOUND", error)
    }

    /// 404 or 405 `M_UNRECOGNIZED`: no such route, or not with this method.
    pub fn unrecognized(status: StatusCode) -> Self {
        Self::new(status, "M_UNRECOGNIZED", "Unrecognized request")
    }

    /// 401 `M_UNKNOWN_TOKEN`.
    pub fn unknown_token(error: &'static str, soft_logout: bool) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", error).with("soft_logout", soft_logout)
    }

    /// 401 `M_MISSING_TOKEN`.
    pub fn missing_token(error: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", error)
    }

    /// 401 `M_USER_LOCKED`.
    pub fn locked() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_USER_LOCKED", "User account has been locked")
            .with("soft_logout", true)
    }

    /// 429 `M_LIMIT_EXCEEDED`, with the milliseconds after which to retry.
    pub fn limit_exceeded(retry_after_ms: i64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", "Too Many Requests")
            .with("retry_after_ms", retry_after_ms)
    }

    /// 413 `M_TOO_LARGE`.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", "Request body is too large")
    }

    /// The response of incomplete user-interactive authentication: its own body, and an error only if the last
    /// stage failed.
    pub fn interactive(
        status: StatusCode,
        failed: Option<(String, String)>,
        body: Map<String, Value>,
    ) -> Self {
        let (errcode, error) = failed.unwrap_or_default();
        Self {
            status,
            errcode: errcode.into(),
            error: error.into(),
            extra: Some(Box::new(body)),
            cause: None,
        }
    }

    /// 500 `M_UNKNOWN`. The cause goes to the log, not to the client.
    pub fn internal(cause: impl ToString) -> Self {
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "Internal server error");
        Self { cause: Some(cause.to_string()), ..error }
    }

    /// The error with one more key in its body.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }
}

impl From<DbError> for MatrixError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Overloaded | DbError::Timeout | DbError::Closed | DbError::Unavailable(_) => {
                let busy =
                    Self::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", "The database is not available");
                Self { cause: Some(error.to_string()), ..busy }
            }
            _ => Self::internal(error),
        }
    }
}

impl From<Malformed> for MatrixError {
    fn from(error: Malformed) -> Self {
        Self::invalid_param(error.to_string())
    }
}

impl From<BadName> for MatrixError {
    fn from(error: BadName) -> Self {
        Self::bad_request("M_INVALID_USERNAME", error.to_string())
    }
}

/// The one place where errors of deeds on rooms become Matrix errors.
impl From<RoomError> for MatrixError {
    fn from(error: RoomError) -> Self {
        let text = error.to_string();
        match error {
            RoomError::Db(error) => error.into(),
            RoomError::Account(error) => error.into(),
            RoomError::Forbidden(_) => Self::forbidden(text),
            RoomError::InviteBlocked => Self::new(StatusCode::FORBIDDEN, "M_INVITE_BLOCKED", text),
            RoomError::Blocked => Self::new(StatusCode::FORBIDDEN, "M_UNKNOWN", text),
            RoomError::NotFound(_) | RoomError::Missing(_) => Self::not_found(text),
            RoomError::Invalid(_) => Self::invalid_param(text),
            RoomError::BadContent(_) => Self::bad_json(text),
            RoomError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", text),
            RoomError::UnsupportedVersion => Self::bad_request("M_UNSUPPORTED_ROOM_VERSION", text),
            RoomError::AliasInUse(_) => Self::new(StatusCode::CONFLICT, "M_UNKNOWN", text),
            RoomError::BadAlias(_) => Self::bad_request("M_BAD_ALIAS", text),
            RoomError::InvalidRoomState(_) => Self::bad_request("M_INVALID_ROOM_STATE", text),
            RoomError::BadState(_) => Self::new(StatusCode::FORBIDDEN, "M_BAD_STATE", text),
            RoomError::NoticeRoom => {
                Self::new(StatusCode::FORBIDDEN, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM", text)
            }
            RoomError::DuplicateAnnotation => Self::bad_request("M_DUPLICATE_ANNOTATION", text),
            RoomError::Suspended(_) => Self::new(StatusCode::FORBIDDEN, "M_USER_SUSPENDED", text),
            RoomError::Refused(_) => Self::unknown(text),
        }
    }
}

/// The one place where errors of deeds on media become Matrix errors.
impl From<MediaError> for MatrixError {
    fn from(error: MediaError) -> Self {
        let text = error.to_string();
        match error {
            MediaError::Db(error) => error.into(),
            // The uploader's session ended with the account.
            MediaError::Account(AccountError::Deactivated) => {
                Self::unknown_token("Invalid access token passed.", false)
            }
            MediaError::Account(error) => error.into(),
            MediaError::Store(_) => Self::internal(text),
            MediaError::NotFound | MediaError::UnknownId => Self::not_found(text),
            MediaError::NotYetUploaded => Self::new(StatusCode::GATEWAY_TIMEOUT, "M_NOT_YET_UPLOADED", text),
            MediaError::NotYours | MediaError::AccountFull | MediaError::ServerFull => Self::forbidden(text),
            MediaError::AlreadyUploaded => Self::new(StatusCode::CONFLICT, "M_CANNOT_OVERWRITE_MEDIA", text),
            MediaError::TooManyPending(retry_after_ms) => Self::limit_exceeded(retry_after_ms),
            MediaError::TooLarge | MediaError::PictureTooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", text)
            }
            MediaError::NotAPicture => Self::unknown(text),
            MediaError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", text),
        }
    }
}

/// The one place where errors of deeds on accounts become Matrix errors.
impl From<AccountError> for MatrixError {
    fn from(error: AccountError) -> Self {
        let text = error.to_string();
        match error {
            AccountError::Db(error) => error.into(),
            AccountError::BadName(error) => error.into(),
            AccountError::UserNotFound
            | AccountError::DeviceNotFound
            | AccountError::KeyNotFound(_)
            | AccountError::BackupNotFound(_) => Self::not_found(text),
            AccountError::UserInUse => Self::bad_request("M_USER_IN_USE", text),
            AccountError::NameReserved => Self::bad_request("M_EXCLUSIVE", text),
            AccountError::ExternalIdInUse => Self::new(StatusCode::CONFLICT, "M_UNKNOWN", text),
            AccountError::UnknownMedium(_) | AccountError::NotAString(_) | AccountError::DeviceIdTooLong => {
                Self::invalid_param(text)
            }
            AccountError::BadEmail
            | AccountError::SelfDemotion
            | AccountError::ProfileTooLong(_)
            | AccountError::NoDevice
            | AccountError::KeyExists { .. }
            | AccountError::Refused(_) => Self::unknown(text),
            AccountError::ProfileTooLarge => Self::bad_request("M_PROFILE_TOO_LARGE", text),
            AccountError::EmailNotFound => Self::bad_request("M_THREEPID_NOT_FOUND", text),
            AccountError::BadRegistrationToken => Self::new(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED", text),
            AccountError::RegistrationTokenChanged => {
                Self::new(StatusCode::UNAUTHORIZED, "M_INVALID_PARAM", text)
            }
            AccountError::DeviceNameTooLong | AccountError::TooMany { .. } => {
                Self::bad_request("M_TOO_LARGE", text)
            }
            AccountError::NotModerated(_)
            | AccountError::PasswordChangeDisabled
            | AccountError::BadCredentials
            | AccountError::BadLoginToken
            | AccountError::PusherWithoutDevice
            | AccountError::ActsAsAnother
            | AccountError::KeyIdInUse => Self::forbidden(text),
            AccountError::BadRefreshToken(_, soft_logout) => {
                let error = Self::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", text);
                if soft_logout { error.with("soft_logout", true) } else { error }
            }
            AccountError::Deactivated => Self::new(StatusCode::FORBIDDEN, "M_USER_DEACTIVATED", text),
            AccountError::Locked => Self::locked(),
            AccountError::DeviceIdInUse => Self::bad_request("M_FORBIDDEN", text),
            AccountError::BadKeys(_) => Self::bad_json(text),
            AccountError::OtherKeys(_) => Self::invalid_param(text),
            AccountError::TooManyMessages | AccountError::MessageTooLong | AccountError::TooLong { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", text)
            }
            AccountError::BadSignature => Self::bad_request("M_INVALID_SIGNATURE", text),
            AccountError::NoMasterKey => Self::bad_request("M_MISSING_PARAM", text),
            AccountError::WrongBackupVersion(current) => {
                Self::new(StatusCode::FORBIDDEN, "M_WRONG_ROOM_KEYS_VERSION", text)
                    .with("current_version", current)
            }
            AccountError::WeakPassword(weakness) => Self::bad_request(
                match weakness {
                    WeakPassword::TooShort(_) => "M_PASSWORD_TOO_SHORT",
                    WeakPassword::NoDigit => "M_PASSWORD_NO_DIGIT",
                    WeakPassword::NoSymbol => "M_PASSWORD_NO_SYMBOL",
                    WeakPassword::NoUppercase => "M_PASSWORD_NO_UPPERCASE",
                    WeakPassword::NoLowercase => "M_PASSWORD_NO_LOWERCASE",
                    WeakPassword::Name => "M_WEAK_PASSWORD",
                },
                text,
            ),
            AccountError::Overloaded => Self::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", text),
        }
    }
}
