//! Lets an account replace its cross-signing keys without authenticating again.

use reeve_accounts::cross_signing;
use reeve_http::{Answer, Call, Route, reply};
use serde::Serialize;
use utoipa::ToSchema;

/// How long it is allowed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Permission {
    /// Until when, in milliseconds.
    updatable_without_uia_before_ms: i64,
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/users/{user_id}/_allow_cross_signing_replacement_without_uia", handle)
        .id("allowCrossSigningReplacement")
        .summary(
            "Lets an account replace its cross-signing keys without authenticating again, for ten minutes",
        )
        .description("It holds for one replacement of the present keys. Calling it again begins anew.")
        .returns::<Permission>(200)
        .errors(&[(404, "M_NOT_FOUND", "the account has no master cross-signing key")])
}

async fn handle(call: Call) -> Answer {
    let (ctx, user_id) = (call.admin_ctx()?, call.param("user_id"));
    let until = call.write(move |tx| cross_signing::allow_replacing(tx, &ctx, &user_id)).await?;
    reply::ok(&Permission { updatable_without_uia_before_ms: until.get() })
}
