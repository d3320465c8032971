//! Login with a password.

use reeve_accounts::Policy;
use reeve_accounts::login::{self, Proof};
use reeve_accounts::sessions::{self, NewSession};
use reeve_app::json::Object;
use reeve_app::{Call, MatrixError, credentials};
use reeve_model::UserNum;
use serde_json::{Value, json};

use super::Login;
use super::credentials::Claim;
use crate::stage::Stage;

/// The `type` of the login.
pub(super) const KIND: &str = "m.login.password";

/// Returns the flow that offers it; `None` if the settings disable it.
pub(super) fn flow(policy: &Policy) -> Option<Value> {
    policy.password_enabled.then(|| json!({ "type": KIND }))
}

/// Returns its stage of user-interactive authentication; `None` if the settings disable it.
pub(super) fn stage(policy: &Policy) -> Option<Stage> {
    policy.password_enabled.then_some(Stage::Password)
}

/// Verifies the password, and counts the login against the limit of the account unless it will be refused.
pub(super) async fn prove(call: &Call, body: &Login, new: &NewSession) -> Result<Proof, MatrixError> {
    if !call.app.policy.password_enabled {
        return Err(MatrixError::unknown("Password login has been disabled."));
    }
    let claim = Claim {
        identifier: body.identifier.value(),
        user: body.user.value(),
        medium: body.medium.value(),
        address: body.address.value(),
        password: body.password.value(),
    };
    let password = claim.password()?;
    let identifier = claim.identifier()?;
    let verified = credentials::verify(call, identifier, &password).await?;
    login::check_may_log_in(&verified.user)?;
    sessions::check(new)?;
    verified.proof(call)
}

/// Passes the stage if the password is that of the account that authenticates. A 401 means that it can be tried again.
pub(crate) async fn pass(call: &Call, auth: &Object, user_num: Option<UserNum>) -> Result<(), MatrixError> {
    // Here a malformed identifier is reported before a malformed password.
    let claim = Claim {
        identifier: auth.get("identifier"),
        user: auth.get("user"),
        medium: auth.get("medium"),
        address: auth.get("address"),
        password: auth.get("password"),
    };
    let identifier = claim.identifier()?;
    let password = claim.password()?;
    let user = match credentials::verify(call, identifier, &password).await {
        Err(error) if error.status == 403 => {
            return Err(MatrixError { status: 401, ..error });
        }
        verified => verified?.user,
    };
    if user_num == Some(user.num) { Ok(()) } else { Err(MatrixError::forbidden("Invalid auth")) }
}
