//! Rules for passwords, so that clients can check a password before they send it.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/2000>

use reeve_accounts::policy::PasswordRules;
use reeve_app::{Access, Answer, Call, Route, reply};
use serde_json::json;

use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/v3/password_policy", handle)
            .also("/_matrix/client/r0/password_policy")
            .also("/_matrix/client/unstable/password_policy")
            .access(Access::Anybody)
            .id("getPasswordPolicy")
            .returns::<shapes::server::PasswordPolicy>(200)
            .summary("Returns the rules for passwords")
            .spec("https://github.com/matrix-org/matrix-spec-proposals/pull/2000"),
    ]
}

async fn handle(call: Call) -> Answer {
    let PasswordRules { min_length, require_digit, require_symbol, require_lowercase, require_uppercase } =
        call.app.policy.password_rules;
    reply::ok(&json!({
        "m.minimum_length": min_length,
        "m.require_digit": require_digit,
        "m.require_symbol": require_symbol,
        "m.require_lowercase": require_lowercase,
        "m.require_uppercase": require_uppercase,
    }))
}
