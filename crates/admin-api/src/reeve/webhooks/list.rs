//! Lists webhooks.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;
use reeve_store::webhooks;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{cut, from, limit, page};
use super::WebhookView;

/// A page of the list of webhooks, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    webhooks: Vec<WebhookView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn route() -> Route {
    Route::read(super::PATH, handle)
        .access(Access::Admin(Scope::WebhooksRead))
        .id("listWebhooks")
        .summary("Lists webhooks and their progress, the newest first, without their secrets")
        .description("Callers without `webhooks:write` see their URLs shortened.")
        .query(page("webhooks"))
        .returns::<WebhookList>(200)
        .errors(&[(
            400,
            "M_INVALID_PARAM",
            "`limit` is malformed, or `from` is not a `next_token` of this list",
        )])
}

fn handle(call: &Reading<'_>) -> Answer {
    let limit = limit(call)?;
    let mut webhooks = webhooks::list(call.tx, &from(call)?, limit + 1)?;
    let next_token = cut(&mut webhooks, limit).map(|last| last.sort_key().to_string());
    let scopes = call.caller().scopes();
    let views = webhooks.into_iter().map(|webhook| WebhookView::new(call.tx, scopes, webhook));
    reply::ok(&WebhookList { webhooks: views.collect::<Result<_, _>>()?, next_token })
}
