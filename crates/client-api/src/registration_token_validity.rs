//! Validity of registration tokens.

use reeve_app::limits::{Bucket, Source};
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use reeve_store::registration_tokens;
use serde_json::json;

use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/v1/register/m.login.registration_token/validity", handle)
            .access(Access::Anybody)
            .id("registrationTokenValidity")
            .returns::<shapes::account::TokenValidity>(200)
            .summary("Checks that a registration token can be used")
            .query([Param::text("token", "the registration token").required()])
            .errors(&[
                (403, "M_FORBIDDEN", "registration is disabled"),
                (429, "M_LIMIT_EXCEEDED", "too many tokens were tried from this address"),
            ])
            .spec(
                "https://spec.matrix.org/v1.18/client-server-api/\
                 #get_matrixclientv1registermloginregistration_tokenvalidity",
            ),
    ]
}

async fn handle(call: Call) -> Answer {
    call.app.limiter.check(Bucket::RegistrationToken(Source::of(&call.ip)), call.now)?;
    if !call.app.policy.registration_enabled {
        return Err(MatrixError::forbidden("Registration has been disabled"));
    }
    let (token, now) = (call.query.required_ascii("token")?, call.now);
    let found = call.read(move |tx| registration_tokens::find(tx, &token)).await?;
    reply::ok(&json!({ "valid": found.is_some_and(|token| token.is_valid(now)) }))
}
