//! Whether somebody could register with a registration token.

use reeve_http::limits::Bucket;
use reeve_http::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_store::registration_tokens;
use serde_json::json;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/v1/register/m.login.registration_token/validity", handle)
            .access(Access::Anybody)
            .summary("Whether somebody could register with a registration token")
            .query(&[("token", "the registration token")])
            .errors(&[
                (400, "M_MISSING_PARAM", "no token is given"),
                (403, "M_FORBIDDEN", "people cannot register by themselves"),
                (429, "M_LIMIT_EXCEEDED", "too many tokens were tried from this address"),
            ])
            .spec(
                "https://spec.matrix.org/v1.18/client-server-api/\
                 #get_matrixclientv1registermloginregistration_tokenvalidity",
            ),
    ]
}

async fn handle(call: Call) -> Answer {
    call.app.limiter.check(Bucket::RegistrationToken(call.ip.to_string()), call.now)?;
    if !call.app.policy.registration_enabled {
        return Err(MatrixError::forbidden("Registration has been disabled"));
    }
    let (token, now) = (call.query.required_ascii("token")?, call.now);
    let found = call.read(move |tx| registration_tokens::find(tx, &token)).await?;
    reply::ok(&json!({ "valid": found.is_some_and(|token| token.is_valid(now)) }))
}
