//! The webhook follower: marks the deliveries of the webhooks that want what is new in the stream.

use std::time::Duration;

use reeve_db::{Db, DbError, ReadTx};
use reeve_follow::{Follower, Pace, Seen};
use reeve_model::{Clock, DeliveryKind, Pos, WebhookNum};
use reeve_store::stream::Span;
use reeve_store::{deliveries, webhooks};

/// Each process marks for what it wrote, so that the others need not hurry; they find what was told already.
pub(crate) const PACE: Pace = Pace { pause: Duration::from_millis(50), every: Duration::from_secs(1) };

/// The webhook follower. It stores no position: at its start it marks every webhook.
pub(crate) struct Marker {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
}

impl Follower for Marker {
    type News = Vec<WebhookNum>;

    const NAME: &'static str = "webhooks";

    fn read(&self, tx: &ReadTx<'_>, span: Span) -> Result<Seen<Self::News>, DbError> {
        if span.after == Pos::ZERO {
            // The server has taken a position before anything can happen.
            return Ok(Seen { upto: span.upto.max(Pos::ZERO.next()), news: webhooks::enabled(tx)? });
        }
        Ok(Seen { upto: span.upto, news: webhooks::concerned(tx, span)? })
    }

    async fn act(&self, Seen { news, .. }: Seen<Self::News>) -> Result<(), DbError> {
        if news.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        self.db.write(move |tx| deliveries::mark(tx, DeliveryKind::Webhook, &news, now)).await
    }
}
