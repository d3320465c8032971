//! Deletes a webhook.

use reeve_app::{Access, Answer, Call, Route, reply, shape};
use reeve_model::Scope;
use reeve_webhooks::deeds;

pub(crate) fn route() -> Route {
    Route::delete(super::ONE, handle)
        .access(Access::Admin(Scope::WebhooksWrite))
        .id("deleteWebhook")
        .returns::<shape::Empty>(200)
        .summary("Deletes a webhook with its secrets, its dead letters and all that waits for it")
        .errors(&[super::MISSING])
}

async fn handle(call: Call) -> Answer {
    let (ctx, name) = (call.admin_ctx()?, call.param("webhook"));
    call.write(move |tx| deeds::delete(tx, &ctx, &name)).await?;
    reply::empty()
}
