//! The Matrix error: the response to a request that failed.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A Matrix error: an HTTP status and `{"errcode", "error", …}`.
/// See <https://spec.matrix.org/v1.18/client-server-api/#standard-error-response>.
#[derive(Debug, Clone)]
pub struct MatrixError {
    /// The HTTP status.
    pub status: u16,
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
        status: u16,
        errcode: impl Into<Cow<'static, str>>,
        error: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, errcode: errcode.into(), error: error.into(), extra: None, cause: None }
    }

    /// 400 with a code.
    pub fn bad_request(errcode: &'static str, error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, errcode, error)
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
        Self::new(403, "M_FORBIDDEN", error)
    }

    /// 404 `M_NOT_FOUND`.
    pub fn not_found(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, "M_NOT_FOUND", error)
    }

    /// 404 or 405 `M_UNRECOGNIZED`: no such route, or not with this method.
    pub fn unrecognized(status: u16) -> Self {
        Self::new(status, "M_UNRECOGNIZED", "Unrecognized request")
    }

    /// 401 `M_UNKNOWN_TOKEN`.
    pub fn unknown_token(error: &'static str, soft_logout: bool) -> Self {
        Self::new(401, "M_UNKNOWN_TOKEN", error).with("soft_logout", soft_logout)
    }

    /// 401 `M_MISSING_TOKEN`.
    pub fn missing_token(error: &'static str) -> Self {
        Self::new(401, "M_MISSING_TOKEN", error)
    }

    /// 401 `M_USER_LOCKED`.
    pub fn locked() -> Self {
        Self::new(401, "M_USER_LOCKED", "User account has been locked").with("soft_logout", true)
    }

    /// 413 `M_TOO_LARGE`.
    pub fn too_large(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(413, "M_TOO_LARGE", error)
    }

    /// 429 `M_LIMIT_EXCEEDED`, with the milliseconds after which to retry.
    pub fn limit_exceeded(retry_after_ms: i64) -> Self {
        Self::new(429, "M_LIMIT_EXCEEDED", "Too Many Requests").with("retry_after_ms", retry_after_ms)
    }

    /// 401 with the body of user-interactive authentication that is not complete, and an error only if the last
    /// stage failed.
    pub fn interactive(failed: Option<(String, String)>, body: Map<String, Value>) -> Self {
        let (errcode, error) = failed.unwrap_or_default();
        Self { extra: Some(Box::new(body)), ..Self::new(401, errcode, error) }
    }

    /// 500 `M_UNKNOWN`. The cause goes to the log, not to the client.
    pub fn internal(cause: impl ToString) -> Self {
        Self::new(500, "M_UNKNOWN", "Internal server error").caused_by(cause)
    }

    /// 503 `M_UNKNOWN`.
    pub fn unavailable(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(503, "M_UNKNOWN", error)
    }

    /// The error with one more key in its body.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// The error with its internal cause, for the log.
    pub fn caused_by(self, cause: impl ToString) -> Self {
        Self { cause: Some(cause.to_string()), ..self }
    }
}
