//! The push follower: marks the deliveries of the pushers that new entries of the stream may concern.

use std::time::Duration;

use reeve_db::{Db, DbError, ReadTx};
use reeve_follow::{Follower, Pace, Seen};
use reeve_model::{Clock, DeliveryKind, Pos, PusherNum};
use reeve_store::stream::Span;
use reeve_store::{alerts, deliveries};

/// Many events in a busy room lead to one mark. Each process marks for what it wrote, so that the others need not hurry.
pub(crate) const PACE: Pace = Pace { pause: Duration::from_millis(50), every: Duration::from_secs(1) };
/// Number of positions of the stream read together. The stored position lags by no more than that.
const SPAN: i64 = 1000;
/// Maximum number of pushers marked in one transaction, so that it does not delay others.
const MARKED_AT_ONCE: usize = 200;

/// The push follower.
pub(crate) struct Marker {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
}

/// The pushers that a span of the stream may concern.
pub(crate) struct Concerned {
    pushers: Vec<PusherNum>,
    /// The position that was stored when they were read.
    stored: Pos,
}

impl Follower for Marker {
    type News = Concerned;

    const NAME: &'static str = "push";

    fn read(&self, tx: &ReadTx<'_>, span: Span) -> Result<Seen<Concerned>, DbError> {
        let stored = alerts::position(tx)?;
        // Another process may have been faster.
        let after = span.after.max(stored);
        let upto = after.plus(SPAN).min(span.upto).max(after);
        let pushers = alerts::concerned(tx, Span { after, upto })?;
        Ok(Seen { upto, news: Concerned { pushers, stored } })
    }

    async fn act(&self, Seen { upto, news }: Seen<Concerned>) -> Result<(), DbError> {
        let Concerned { pushers, stored } = news;
        let now = self.clock.now();
        for pushers in pushers.chunks(MARKED_AT_ONCE) {
            let pushers = pushers.to_vec();
            self.db
                .write(move |tx| -> Result<(), DbError> {
                    if alerts::position(tx)? < upto {
                        deliveries::mark(tx, DeliveryKind::Push, &pushers, now)?;
                    }
                    Ok(())
                })
                .await?;
        }
        // Of a span that concerned nobody nothing is written, unless reading it again would take long.
        if !pushers.is_empty() || upto >= stored.plus(SPAN) {
            self.db.write(move |tx| alerts::set_position(tx, upto)).await?;
        }
        Ok(())
    }
}
