//! Webhooks: addresses of other systems that are told what happens.

mod create;
mod dead_letters;
mod delete;
mod events;
mod get;
mod list;
mod replay;
mod rotate;
mod test;
mod update;

use reeve_app::Route;
use reeve_db::ReadTx;
use reeve_model::{ActorKind, HappeningKind, Millis, Scope, Scopes};
use reeve_store::webhooks::Webhook;
use reeve_webhooks::deeds::{self, Issued};
use reeve_webhooks::{Attempt, Error};
use serde::Serialize;
use utoipa::ToSchema;

const PATH: &str = "/_reeve/admin/v1/webhooks";
const ONE: &str = "/_reeve/admin/v1/webhooks/{webhook}";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such webhook");
const MAY_NOT_READ: (u16, &str, &str) = (
    403,
    "M_FORBIDDEN",
    "the caller may not read all events of the webhook, or is a service token that expires",
);

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = vec![
        list::route(),
        create::route(),
        get::route(),
        update::route(),
        delete::route(),
        rotate::route(),
        test::route(),
        replay::route(),
    ];
    routes.extend(dead_letters::routes());
    routes
}

/// A webhook, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    /// The name, which the audit log shows.
    #[schema(example = "billing")]
    name: String,
    /// Its purpose.
    description: String,
    /// The URL to which it sends. Callers without `webhooks:write` see its origin and the beginning of the rest, which may hold a
    /// secret.
    #[schema(example = "https://billing.example.org/reeve")]
    url: String,
    /// The events that it sends.
    #[schema(value_type = Vec<String>, example = json!(["account.created", "account.deactivated"]))]
    events: Vec<HappeningKind>,
    /// False if it sends nothing. What happens meanwhile is sent when it is enabled.
    enabled: bool,
    /// The kind of the actor who created it, as in the audit log.
    #[schema(value_type = String)]
    created_by_kind: ActorKind,
    /// The id of that actor among those of the kind.
    created_by: String,
    /// When it was created, in milliseconds.
    created_ts: i64,
    /// The position up to which every event was delivered, or has become a dead letter.
    position: i64,
    /// The number of events that wait, counted up to 1000.
    waiting: i64,
    /// The number of failures of the next event in a row.
    failures: i64,
    /// When these failures began, in milliseconds; null if the last delivery succeeded.
    #[schema(required)]
    failing_since_ts: Option<i64>,
    /// When the next event is sent, in milliseconds; null if none waits.
    #[schema(required)]
    next_try_ts: Option<i64>,
}

impl WebhookView {
    /// Returns a webhook as a caller with these scopes sees it.
    fn new(tx: &ReadTx<'_>, scopes: Scopes, webhook: Webhook) -> Result<Self, Error> {
        let deeds::Progress { delivery, waiting } = deeds::progress(tx, webhook.num)?;
        Ok(Self {
            name: webhook.name,
            description: webhook.terms.description,
            url: if scopes.contains(Scope::WebhooksWrite) {
                webhook.terms.url
            } else {
                deeds::shortened(&webhook.terms.url)
            },
            events: webhook.terms.kinds,
            enabled: webhook.terms.enabled,
            created_by_kind: webhook.created_by_kind,
            created_by: webhook.created_by,
            created_ts: webhook.created_ts.get(),
            position: delivery.cursor.get(),
            waiting,
            failures: delivery.failures,
            failing_since_ts: delivery.failing_since_ts.map(Millis::get),
            next_try_ts: delivery.due_ts.filter(|_| waiting > 0).map(Millis::get),
        })
    }
}

/// A webhook with its new secret, which is never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedWebhook {
    #[serde(flatten)]
    webhook: WebhookView,
    /// The secret, with which the receiver verifies signatures.
    #[schema(example = "whsec_QmVzdCBrZXB0IGluIGEgc2VjcmV0IHN0b3JlIQ==")]
    secret: String,
}

impl IssuedWebhook {
    fn new(tx: &ReadTx<'_>, scopes: Scopes, Issued { webhook, secret }: Issued) -> Result<Self, Error> {
        Ok(Self { webhook: WebhookView::new(tx, scopes, webhook)?, secret })
    }
}

/// The result of sending a message at once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookAttempt {
    /// True if the receiver accepted it.
    delivered: bool,
    /// The reason why it failed; null if it did not.
    #[schema(required)]
    reason: Option<String>,
}

impl From<Attempt> for WebhookAttempt {
    fn from(attempt: Attempt) -> Self {
        Self { delivered: attempt.failure.is_none(), reason: attempt.failure }
    }
}
