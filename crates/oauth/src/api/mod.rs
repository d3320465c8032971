//! The endpoints that clients call, one file for each.

mod device;
mod register;
mod revoke;
mod token;

use reeve_app::body::{Key, Omittable};
use reeve_app::{Call, MatrixError, OAuthSettings, Route};

/// The condition of the error that all endpoints share.
const DISABLED: (u16, &str, &str) = (404, "M_UNRECOGNIZED", "the settings do not enable OAuth 2.0");

pub(crate) fn routes() -> Vec<Route> {
    vec![register::route(), token::route(), revoke::route(), device::route()]
}

/// Returns the settings; 404 if OAuth 2.0 is not enabled.
fn settings(call: &Call) -> Result<&OAuthSettings, MatrixError> {
    call.app.oauth.as_ref().ok_or_else(|| MatrixError::unrecognized(404))
}

/// Returns the value of a field without which a request makes no sense, although others do.
fn needed(field: &Key<Omittable<String>>) -> Result<String, MatrixError> {
    field.read()?.ok_or_else(|| MatrixError::missing_params(&[field.name()]))
}
