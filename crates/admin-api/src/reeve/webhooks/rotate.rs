//! Gives a webhook a new secret.

use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::Scope;
use reeve_webhooks::Error;
use reeve_webhooks::deeds::{self, OVERLAP_MS};

use super::super::read::refuse_unknown;
use super::{IssuedWebhook, MAY_NOT_READ, MISSING};

body! {
    /// The options of a rotation.
    pub(crate) struct RotateWebhook {
        /// The time for which messages are signed with the former secrets, too, in milliseconds, at most 30 days; 24 hours by
        /// default, 0 to end them at once.
        #[schema(example = 86_400_000)]
        overlap_ms?: i64,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_reeve/admin/v1/webhooks/{webhook}/rotate", handle)
        .access(Access::Admin(Scope::WebhooksWrite))
        .id("rotateWebhook")
        .summary("Gives a webhook a new secret, and returns it")
        .description(
            "The secret cannot be read again. For a time, messages have a signature of each valid secret.",
        )
        .may_take::<RotateWebhook>()
        .returns::<IssuedWebhook>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "a key or the time is not valid, or five secrets are valid"),
            MAY_NOT_READ,
            MISSING,
        ])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<RotateWebhook>().await?;
    refuse_unknown(&body.unknown)?;
    let overlap_ms = body.overlap_ms.read()?.unwrap_or(OVERLAP_MS);
    let (ctx, name) = (call.admin_ctx()?, call.param("webhook"));
    let issued = call.write(move |tx| -> Result<_, Error> {
        let issued = deeds::rotate(tx, &ctx, &name, overlap_ms)?;
        IssuedWebhook::new(tx, ctx.scopes, issued)
    });
    reply::ok(&issued.await?)
}
