//! The push follower: marks the pushers that new entries of the stream may concern.

use std::time::Duration;

use reeve_db::{DbError, ReadTx};
use reeve_follow::{Follower, Pace, Seen};
use reeve_model::Pos;
use reeve_store::push_queue;
use reeve_store::stream::Span;

use crate::Inner;

/// Many events in a busy room lead to one mark. Each process marks for what it wrote, so that the others need not hurry.
pub(crate) const PACE: Pace = Pace { pause: Duration::from_millis(50), every: Duration::from_secs(1) };
/// Number of positions of the stream read together. The stored position lags by no more than that.
const SPAN: i64 = 1000;
/// Maximum number of pushers marked in one transaction, so that it does not delay others.
const MARKED_AT_ONCE: usize = 200;

/// The pushers that a stretch of the stream may concern.
pub(crate) struct Concerned {
    pushers: Vec<i64>,
    /// The position that was stored when they were read.
    stored: Pos,
}

impl Follower for Inner {
    type News = Concerned;

    const NAME: &'static str = "push";

    fn read(&self, tx: &ReadTx<'_>, span: Span) -> Result<Seen<Concerned>, DbError> {
        let stored = push_queue::position(tx)?;
        // Another process may have been faster.
        let after = span.after.max(stored);
        let upto = after.plus(SPAN).min(span.upto).max(after);
        let pushers = push_queue::concerned(tx, Span { after, upto })?;
        Ok(Seen { upto, news: Concerned { pushers, stored } })
    }

    async fn act(&self, Seen { upto, news }: Seen<Concerned>) -> Result<(), DbError> {
        let Concerned { pushers, stored } = news;
        let now = self.clock.now();
        for nums in pushers.chunks(MARKED_AT_ONCE) {
            let nums = nums.to_vec();
            self.db
                .write(move |tx| -> Result<(), DbError> {
                    if push_queue::position(tx)? < upto {
                        push_queue::mark(tx, &nums, now)?;
                    }
                    Ok(())
                })
                .await?;
        }
        // Of a stretch that concerned nobody nothing is written, unless reading it again would take long.
        if !pushers.is_empty() || upto >= stored.plus(SPAN) {
            self.db.write(move |tx| push_queue::set_position(tx, upto)).await?;
        }
        if !pushers.is_empty() {
            self.marked.notify_one();
        }
        Ok(())
    }
}
