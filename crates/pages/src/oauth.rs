//! Common parts of the pages for clients of OAuth 2.0.

use reeve_app::page::{self, LANG};
use reeve_app::{Head, MatrixError, OAuthSettings};
use reeve_oauth::client::Client;
use serde::Serialize;

/// The error of all these pages.
pub(crate) const DISABLED: (u16, &str, &str) =
    (404, "M_UNRECOGNIZED", "the settings do not enable OAuth 2.0");

/// Returns the settings; 404 if OAuth 2.0 is not enabled.
pub(crate) fn settings(head: &Head) -> Result<&OAuthSettings, MatrixError> {
    head.app.oauth.as_ref().ok_or_else(|| MatrixError::unrecognized(404))
}

/// Returns an error for a person: a request that has ended is not found, and a client that is unknown is a bad link.
pub(crate) fn for_people(error: impl Into<MatrixError>) -> MatrixError {
    let error = error.into();
    match &*error.errcode {
        "expired_token" => MatrixError::not_found(error.error),
        "invalid_client" => MatrixError::bad_request("invalid_client", error.error),
        _ => error,
    }
}

/// A client, as pages show it.
#[derive(Serialize)]
pub(crate) struct ClientView {
    name: String,
    host: String,
    /// The address of its terms of service.
    terms: Option<String>,
    /// The address of its privacy policy.
    policy: Option<String>,
}

impl ClientView {
    /// Returns a client in the language of a page.
    pub(crate) fn new(client: &Client, head: &Head) -> Self {
        let language = page::language(head.query.lossy(LANG).as_deref(), &head.headers).as_str();
        Self {
            name: client.name(language),
            host: client.host(),
            terms: client.terms(language),
            policy: client.policy(language),
        }
    }
}
