//! Availability of a name for a new account.

use reeve_accounts::users;
use reeve_app::{Access, Answer, Param, Reading, Route, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

/// The name is available; otherwise the response is an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsernameAvailable {
    /// Always true.
    available: bool,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/username_available", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("isUsernameAvailable")
        .summary("Checks that a name is available for a new account, even while registration is disabled")
        .query([Param::text("username", "the localpart").required()])
        .returns::<UsernameAvailable>(200)
        .errors(&[
            (400, "M_UNKNOWN", "the name is not ASCII"),
            (400, "M_INVALID_USERNAME", "the name is not allowed"),
            (400, "M_EXCLUSIVE", "the name is reserved for the account that sends server notices"),
            (400, "M_USER_IN_USE", "an account has the name, perhaps a deactivated one"),
        ])
}

fn handle(call: &Reading<'_>) -> Answer {
    let username = call.query.required_ascii("username")?;
    users::check_name(call.tx, &call.ctx(), &call.app.policy, &username)?;
    reply::ok(&UsernameAvailable { available: true })
}
