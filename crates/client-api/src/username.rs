//! Availability of a name for registration.

use reeve_accounts::users;
use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use serde_json::json;

use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read("/_matrix/client/v3/register/available", handle)
            .also("/_matrix/client/r0/register/available")
            .access(Access::Anybody)
            .id("checkUsernameAvailability")
            .returns::<shapes::account::Available>(200)
            .summary("Checks that a name is available for registration")
            .query([Param::text("username", "the localpart").required()])
            .errors(&[
                (400, "M_INVALID_USERNAME", "the name is not allowed"),
                (400, "M_EXCLUSIVE", "the name is reserved for the account that sends server notices"),
                (400, "M_USER_IN_USE", "an account has the name"),
                (403, "M_FORBIDDEN", "registration is disabled"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3registeravailable"),
    ]
}

fn handle(call: &Reading<'_>) -> Answer {
    if !call.app.policy.registration_enabled {
        return Err(MatrixError::forbidden("Registration has been disabled"));
    }
    let username = call.query.required_ascii("username")?;
    users::check_name(call.tx, &call.ctx(), &call.app.policy, &username)?;
    reply::ok(&json!({ "available": true }))
}
