//! Sends a webhook a test.

use reeve_app::{Access, Answer, Call, Route, reply};
use reeve_model::Scope;
use reeve_webhooks::deeds;

use super::{MAY_NOT_READ, MISSING, WebhookAttempt};

pub(crate) fn route() -> Route {
    Route::post("/_reeve/admin/v1/webhooks/{webhook}/test", handle)
        .access(Access::Admin(Scope::WebhooksWrite))
        .id("testWebhook")
        .summary("Sends a message of the type `webhook.test`, and returns the result")
        .description(
            "The message is sent once and at once, also if the webhook is disabled or other events wait.",
        )
        .returns::<WebhookAttempt>(200)
        .errors(&[MAY_NOT_READ, MISSING])
}

async fn handle(call: Call) -> Answer {
    let (ctx, name) = (call.admin_ctx()?, call.param("webhook"));
    let message = call.write(move |tx| deeds::test(tx, &ctx, &name)).await?;
    reply::ok(&WebhookAttempt::from(call.app.webhooks.send(message).await))
}
