//! The reasons why a request of a client is refused, and the error of OAuth 2.0 that each becomes.

use reeve_db::DbError;
use reeve_model::MatrixError;

/// The reason why a request of a client is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter is missing or malformed; the text says which.
    #[error("{0}")]
    Request(&'static str),
    /// No client has the id, or not any more.
    #[error("There is no such client: it must register, perhaps again")]
    UnknownClient,
    /// The client has not registered for what it asks.
    #[error("The client has not registered for this grant type")]
    Unregistered,
    /// The client has not registered the redirect URI.
    #[error("The client has not registered this redirect URI")]
    UnknownRedirect,
    /// The client asks for another response than a code.
    #[error("The only response type is 'code'")]
    ResponseType,
    /// The client asks for access in a way that there is none.
    #[error("The grant types are 'authorization_code', 'refresh_token' and that of device codes")]
    GrantType,
    /// The scope is not one of Matrix; the text says why.
    #[error("{0}")]
    Scope(&'static str),
    /// A code or a token is unknown, for another client, used or expired; the text says which.
    #[error("{0}")]
    Grant(&'static str),
    /// The client wants no page to be shown, and nobody has signed in.
    #[error("Nobody has signed in")]
    LoginRequired,
    /// The client wants no page to be shown, and nobody is asked without one.
    #[error("The person must be asked")]
    ConsentRequired,
    /// The person has not answered yet.
    #[error("The person has not answered yet")]
    Pending,
    /// The client asks too often whether the person has answered.
    #[error("The client asks too often")]
    SlowDown,
    /// The person refused.
    #[error("The person refused")]
    Refused,
    /// The request has ended, or was answered.
    #[error("The request has ended")]
    Ended,
    /// A redirect URI cannot be registered; the text says why.
    #[error("{0}")]
    BadRedirect(String),
    /// Metadata cannot be registered; the text says why.
    #[error("{0}")]
    BadMetadata(String),
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
        let code = match error {
            Error::Db(error) => return error.into(),
            Error::Accounts(error) => {
                let error = Self::from(error);
                if error.status >= 500 {
                    return error;
                }
                // A grant is worth nothing while the account may not begin or continue a session (RFC 6749, 5.2).
                "invalid_grant"
            }
            Error::UnknownClient => return Self::new(401, "invalid_client", text),
            Error::Request(_) => "invalid_request",
            Error::Unregistered => "unauthorized_client",
            Error::ResponseType => "unsupported_response_type",
            Error::GrantType => "unsupported_grant_type",
            Error::Scope(_) => "invalid_scope",
            Error::Grant(_) => "invalid_grant",
            Error::LoginRequired => "login_required",
            Error::ConsentRequired => "consent_required",
            Error::Pending => "authorization_pending",
            Error::SlowDown => "slow_down",
            Error::Refused => "access_denied",
            Error::Ended => "expired_token",
            Error::UnknownRedirect | Error::BadRedirect(_) => "invalid_redirect_uri",
            Error::BadMetadata(_) => "invalid_client_metadata",
        };
        Self::new(400, code, text)
    }
}
