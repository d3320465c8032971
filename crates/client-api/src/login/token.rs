//! Login with a token that another device of the account requested.

use reeve_accounts::login::Proof;
use reeve_accounts::{Error, Policy};
use reeve_app::{Call, MatrixError};
use serde_json::{Value, json};

use super::Login;

/// The `type` of the login.
pub(super) const KIND: &str = "m.login.token";

/// Returns the flow that offers it; `None` if the settings disable it.
pub(super) fn flow(policy: &Policy) -> Option<Value> {
    policy.login_via_existing_session.then(|| json!({ "type": KIND, "get_login_token": true }))
}

/// Takes the token from the request. It is checked when it is used up.
pub(super) fn prove(call: &Call, body: &Login) -> Result<Proof, MatrixError> {
    match body.token.value() {
        Some(Value::String(token)) if call.app.policy.login_via_existing_session => {
            Ok(Proof::Token(token.clone()))
        }
        None => Err(MatrixError::bad_request("M_MISSING_PARAM", "Missing params: ['token']")),
        Some(_) => Err(Error::BadLoginToken.into()),
    }
}
