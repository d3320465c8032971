//! Reads one webhook.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;
use reeve_webhooks::deeds;

use super::WebhookView;

pub(crate) fn route() -> Route {
    Route::read(super::ONE, handle)
        .access(Access::Admin(Scope::WebhooksRead))
        .id("getWebhook")
        .summary("Returns one webhook and its progress, without its secret")
        .description("Callers without `webhooks:write` see its URL shortened.")
        .returns::<WebhookView>(200)
        .errors(&[super::MISSING])
}

fn handle(call: &Reading<'_>) -> Answer {
    let webhook = deeds::find(call.tx, call.params.get("webhook"))?;
    reply::ok(&WebhookView::new(call.tx, call.caller().scopes(), webhook)?)
}
