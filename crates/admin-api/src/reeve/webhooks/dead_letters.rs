//! Dead letters: events that a receiver did not take.

use reeve_app::{Access, Answer, Call, Head, MatrixError, Reading, Route, reply, shape};
use reeve_model::{HappeningKind, Pos, Scope};
use reeve_store::webhooks::{self, DeadLetter};
use reeve_webhooks::{Error, deeds};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{bad_from, cut, limit, page};
use super::{MAY_NOT_READ, MISSING, WebhookAttempt};

const ALL: &str = "/_reeve/admin/v1/webhooks/{webhook}/dead_letters";
const ONE: &str = "/_reeve/admin/v1/webhooks/{webhook}/dead_letters/{position}";
const RETRY: &str = "/_reeve/admin/v1/webhooks/{webhook}/dead_letters/{position}/retry";
const NONE: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such webhook, or no such dead letter");

/// An event that a receiver did not take.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterView {
    /// The position of the event.
    position: i64,
    /// Its type.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "account.created")]
    kind: HappeningKind,
    /// When it happened, in milliseconds.
    happened_ts: i64,
    /// When the last try failed, in milliseconds.
    failed_ts: i64,
    /// The reason why it failed.
    #[schema(example = "the receiver returned 500 Internal Server Error")]
    reason: String,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            position: letter.pos.get(),
            kind: letter.kind,
            happened_ts: letter.ts.get(),
            failed_ts: letter.failed_ts.get(),
            reason: letter.reason,
        }
    }
}

/// A page of the dead letters of a webhook, the newest event first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterList {
    dead_letters: Vec<DeadLetterView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read(ALL, list)
            .access(Access::Admin(Scope::WebhooksRead))
            .id("listWebhookDeadLetters")
            .summary("Lists events that the receiver of a webhook did not take, the newest first")
            .description(
                "The newest 1000 of each webhook are kept, as long as the events: for `webhooks.history_ms`.",
            )
            .query(page("dead letters"))
            .returns::<DeadLetterList>(200)
            .errors(&[
                (
                    400,
                    "M_INVALID_PARAM",
                    "`limit` is malformed, or `from` is not a `next_token` of this list",
                ),
                MISSING,
            ]),
        Route::post(RETRY, retry)
            .access(Access::Admin(Scope::WebhooksWrite))
            .id("retryWebhookDeadLetter")
            .summary("Sends a dead letter again, and returns the result")
            .description(
                "It is sent at once, with the same id as before. If the receiver accepts it, it is deleted.",
            )
            .returns::<WebhookAttempt>(200)
            .errors(&[MAY_NOT_READ, NONE]),
        Route::delete(ONE, delete)
            .access(Access::Admin(Scope::WebhooksWrite))
            .id("deleteWebhookDeadLetter")
            .summary("Deletes a dead letter")
            .returns::<shape::Empty>(200)
            .errors(&[NONE]),
    ]
}

fn list(call: &Reading<'_>) -> Answer {
    let limit = limit(call)?;
    let before = match call.query.ascii("from")? {
        None => Pos::END,
        Some(token) => Pos::new(token.parse().map_err(|_| bad_from())?),
    };
    let webhook = deeds::find(call.tx, call.params.get("webhook"))?;
    let mut letters = webhooks::dead_letters(call.tx, webhook.num, before, limit + 1)?;
    let next_token = cut(&mut letters, limit).map(|last| last.pos.to_string());
    let dead_letters = letters.into_iter().map(DeadLetterView::from).collect();
    reply::ok(&DeadLetterList { dead_letters, next_token })
}

/// The position in the path; no dead letter has one that is not a number.
fn position(call: &Head) -> Result<Pos, MatrixError> {
    call.param("position").parse().map(Pos::new).map_err(|_| Error::DeadLetterNotFound.into())
}

async fn retry(call: Call) -> Answer {
    let (ctx, name, pos) = (call.admin_ctx()?, call.param("webhook"), position(&call)?);
    let now = ctx.now;
    let (num, message) = call.write(move |tx| deeds::retry(tx, &ctx, &name, pos)).await?;
    let attempt = call.app.webhooks.send(message).await;
    let failure = attempt.failure.clone();
    call.write(move |tx| deeds::store_retry(tx, num, pos, failure.as_deref(), now)).await?;
    reply::ok(&WebhookAttempt::from(attempt))
}

async fn delete(call: Call) -> Answer {
    let (ctx, name, pos) = (call.admin_ctx()?, call.param("webhook"), position(&call)?);
    call.write(move |tx| deeds::delete_dead_letter(tx, &ctx, &name, pos)).await?;
    reply::empty()
}
