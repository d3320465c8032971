//! Webhooks as a kind of delivery: the next message of each, and sending it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use reeve_accounts::audit;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_deliver::{End, Kind, Next, Outcome, Plan, Retry, Then};
use reeve_model::{Actor, Clock, Ctx, DeliveryKind, Millis, Pos, WebhookNum};
use reeve_outgoing::{Error, Outgoing};
use reeve_store::{happenings, stream, webhooks};
use serde_json::json;
use url::Url;

use crate::message::{MAX_DEAD_LETTERS, Message};

/// Maximum time of a request.
const WITHIN: Duration = Duration::from_secs(15);

/// The deliveries of webhooks.
pub(crate) struct Endpoints {
    pub(crate) outgoing: Outgoing,
    pub(crate) clock: Clock,
    pub(crate) server_name: Arc<str>,
}

impl Kind for Endpoints {
    type Target = WebhookNum;
    type Cursor = Pos;
    type Message = Message;
    /// The position of the happening that is told.
    type Record = Option<Pos>;
    type Error = DbError;

    const KIND: DeliveryKind = DeliveryKind::Webhook;
    const MAX_CONCURRENT: usize = 32;
    const RETRY: Retry = Retry { first_pause_ms: 1000, max_pause_ms: 1_800_000, give_up_ms: 24 * 3_600_000 };

    fn plan(
        &self,
        tx: &ReadTx<'_>,
        num: WebhookNum,
        cursor: Pos,
        now: Millis,
    ) -> Result<Plan<Self>, DbError> {
        let webhook = webhooks::by_num(tx, num)?;
        let rest = |cursor| {
            let rest = Next { cursor, then: Then::Rest };
            Plan { message: None, record: None, delivered: rest, given_up: rest }
        };
        // What happens meanwhile is kept for it.
        if !webhook.terms.enabled {
            return Ok(rest(cursor));
        }
        // The end of the stream may go back.
        let end = stream::current(tx)?.max(cursor);
        let Some(happening) = happenings::next(tx, num, cursor)? else { return Ok(rest(end)) };
        let secrets = webhooks::secrets(tx, num, now)?;
        let next = Next { cursor: happening.pos, then: Then::Continue };
        Ok(Plan {
            message: Some(Message::of(webhook, &happening, secrets, now)),
            record: Some(happening.pos),
            delivered: next,
            given_up: next,
        })
    }

    async fn send(&self, message: Message) -> Outcome {
        send(&self.outgoing, message).await
    }

    fn store(
        &self,
        tx: &mut Tx<'_>,
        num: WebhookNum,
        end: &End,
        record: &Option<Pos>,
        now: Millis,
    ) -> Result<(), DbError> {
        let (End::GivenUp(reason) | End::Rejected(reason)) = end else { return Ok(()) };
        if let Some(pos) = record {
            webhooks::put_dead_letter(tx, num, *pos, reason, MAX_DEAD_LETTERS, now)?;
        }
        if let End::Rejected(reason) = end {
            let name = webhooks::by_num(tx, num)?.name;
            webhooks::disable(tx, num)?;
            let system = Ctx::system(&self.clock, &self.server_name, "webhooks");
            let ctx = Ctx { actor: Some(Actor::Server), ..system };
            audit::record(tx, &ctx, "webhook.update", &name, &json!({ "enabled": false, "reason": reason }))?;
        }
        Ok(())
    }

    fn label(_: &Message) -> &'static str {
        "event"
    }
}

/// Sends a message.
pub(crate) async fn send(outgoing: &Outgoing, message: Message) -> Outcome {
    let failed = |reason: &str| Outcome::Failed(reason.to_owned());
    let Ok(url) = Url::parse(&message.url) else { return failed("the URL is not valid") };
    let Ok((headers, body)) = message.into_parts() else { return failed("the headers are not valid") };
    match outgoing.notify(&url, headers, body, WITHIN).await {
        Ok(status) if status.is_success() => Outcome::Delivered,
        Ok(StatusCode::GONE) => Outcome::Rejected("the receiver returned 410 Gone".to_owned()),
        Ok(status) => Outcome::Failed(format!("the receiver returned {status}")),
        Err(Error::Inside) => Outcome::Refused(
            "the receiver is not on the public internet, and outgoing.allow_ranges does not have its address"
                .to_owned(),
        ),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
