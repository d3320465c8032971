//! Sends a webhook past events again.

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{Millis, Pos, Scope};
use reeve_webhooks::Error;
use reeve_webhooks::deeds::{self, ReplayFrom};

use super::super::read::refuse_unknown;
use super::{MAY_NOT_READ, MISSING, WebhookView};

body! {
    /// Where a replay begins: either key.
    pub(crate) struct ReplayWebhook {
        /// A position: all events after it are sent. 0 for all that are kept.
        #[schema(example = 40)]
        position?: i64,
        /// A time, in milliseconds since the epoch: all events from then on are sent.
        from_ts?: i64,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_reeve/admin/v1/webhooks/{webhook}/replay", handle)
        .access(Access::Admin(Scope::WebhooksWrite))
        .id("replayWebhook")
        .summary("Sends events again from a position or a time, or skips up to it")
        .description(
            "Events are kept for `webhooks.history_ms`, those that a webhook wanted when they happened. They are sent in order, \
             with the same ids as before. A position ahead of the webhook's own skips the events up to it.",
        )
        .takes::<ReplayWebhook>()
        .returns::<WebhookView>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "not exactly one of the keys is given, or it is not valid"),
            MAY_NOT_READ,
            MISSING,
        ])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<ReplayWebhook>().await?;
    refuse_unknown(&body.unknown)?;
    let from = match (body.position.read()?, body.from_ts.read()?) {
        (Some(position), None) => ReplayFrom::Position(Pos::new(position)),
        (None, Some(ts)) => ReplayFrom::Time(Millis::new(ts)),
        (None, None) | (Some(_), Some(_)) => {
            return Err(MatrixError::invalid_param("Either 'position' or 'from_ts' must be given"));
        }
    };
    let (ctx, name) = (call.admin_ctx()?, call.param("webhook"));
    let replayed = call.write(move |tx| -> Result<_, Error> {
        let webhook = deeds::replay(tx, &ctx, &name, from)?;
        WebhookView::new(tx, ctx.scopes, webhook)
    });
    reply::ok(&replayed.await?)
}
