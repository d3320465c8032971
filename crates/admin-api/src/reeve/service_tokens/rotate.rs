//! Gives a service token a new secret.

use reeve_accounts::service_tokens::{self, OVERLAP_MS};
use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::Scope;

use super::super::refuse_unknown;
use super::{IssuedServiceToken, MISSING, NOT_HELD};

body! {
    /// The options of a rotation.
    pub(crate) struct RotateServiceToken {
        /// The time for which the former secrets stay valid, in milliseconds, at most 30 days; 24 hours by default, 0 to
        /// end them at once.
        #[schema(example = 86_400_000)]
        overlap_ms?: i64,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_reeve/admin/v1/service_tokens/{name}/rotate", handle)
        .access(Access::Admin(Scope::ServicesWrite))
        .id("rotateServiceToken")
        .summary("Gives a service token a new secret, and returns it")
        .description(
            "The secret is not stored, and cannot be read again. The former ones stay valid for a time.",
        )
        .may_take::<RotateServiceToken>()
        .returns::<IssuedServiceToken>(200)
        .errors(&[(400, "M_INVALID_PARAM", "a key or the time is not valid"), NOT_HELD, MISSING])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<RotateServiceToken>().await?;
    refuse_unknown(&body.unknown)?;
    let overlap_ms = body.overlap_ms.read()?.unwrap_or(OVERLAP_MS);
    let (ctx, name) = (call.admin_ctx()?, call.param("name"));
    let issued = call.write(move |tx| service_tokens::rotate(tx, &ctx, &name, overlap_ms)).await?;
    reply::ok(&IssuedServiceToken::new(&call, issued))
}
