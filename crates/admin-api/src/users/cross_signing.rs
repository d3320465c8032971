//! Temporary permission for an account to replace its cross-signing keys without authenticating again.

use reeve_accounts::cross_signing;
use reeve_app::{Access, Answer, Call, Route, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

/// The duration of the permission.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Permission {
    /// The end, in milliseconds.
    updatable_without_uia_before_ms: i64,
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/users/{user_id}/_allow_cross_signing_replacement_without_uia", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("allowCrossSigningReplacement")
        .summary(
            "Allows an account to replace its cross-signing keys without authenticating again, for ten minutes",
        )
        .description("The permission covers one replacement of the current keys. A repeated request starts it again.")
        .returns::<Permission>(200)
        .errors(&[(404, "M_NOT_FOUND", "the account has no master cross-signing key")])
}

async fn handle(call: Call) -> Answer {
    let (ctx, user_id) = (call.admin_ctx()?, call.param("user_id"));
    let until = call.write(move |tx| cross_signing::allow_replacing(tx, &ctx, &user_id)).await?;
    reply::ok(&Permission { updatable_without_uia_before_ms: until.get() })
}
