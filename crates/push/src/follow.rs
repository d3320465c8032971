//! The push follower: reads the stream and marks the pushers that new entries may concern.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_db::DbError;
use reeve_model::{Pos, clock::monotonic};
use reeve_store::push_queue;
use reeve_store::stream::Span;
use tokio::sync::watch;

use crate::Inner;

/// Number of positions of the stream read together.
const SPAN: i64 = 1000;
/// Maximum number of pushers marked in one transaction, so that it does not delay others.
const MARKED_AT_ONCE: usize = 200;
/// Pause between two reads, so that many events in a busy room lead to one mark.
const PAUSE: Duration = Duration::from_millis(50);
/// Pause after an error.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// Interval at which the position is stored while there is nothing to mark.
const SAVE_EVERY: Duration = Duration::from_mins(1);

/// The position of the follower.
struct Followed {
    pos: Pos,
    saved: Instant,
}

/// Follows the stream until stopped.
pub(crate) async fn follow(
    inner: Arc<Inner>,
    mut end: watch::Receiver<Pos>,
    mut stop: watch::Receiver<bool>,
) {
    let mut followed = Followed { pos: Pos::ZERO, saved: monotonic() };
    loop {
        let upto = *end.borrow_and_update();
        let pause = match look(&inner, &mut followed, upto).await {
            Ok(()) => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "pushers cannot be marked; retrying");
                end.mark_changed();
                PAUSE_AFTER_ERROR
            }
        };
        let more = async {
            tokio::time::sleep(pause).await;
            end.changed().await
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            more = more => if more.is_err() { return },
        }
    }
}

async fn look(inner: &Inner, followed: &mut Followed, end: Pos) -> Result<(), DbError> {
    while followed.pos < end {
        let pos = followed.pos;
        let (after, upto, nums) = inner
            .db
            .read(move |tx| -> Result<_, DbError> {
                // Another process may have been faster.
                let after = pos.max(push_queue::position(tx)?);
                let upto = after.plus(SPAN).min(end);
                Ok((after, upto, push_queue::concerned(tx, Span { after, upto })?))
            })
            .await?;
        let now = inner.clock.now();
        for nums in nums.chunks(MARKED_AT_ONCE) {
            let nums = nums.to_vec();
            inner
                .db
                .write(move |tx| -> Result<(), DbError> {
                    if push_queue::position(tx)? < upto {
                        push_queue::mark(tx, &nums, now)?;
                    }
                    Ok(())
                })
                .await?;
        }
        if upto > after && (!nums.is_empty() || followed.saved.elapsed() > SAVE_EVERY) {
            inner.db.write(move |tx| push_queue::set_position(tx, upto)).await?;
            followed.saved = monotonic();
        }
        if !nums.is_empty() {
            inner.marked.notify_one();
        }
        followed.pos = upto.max(after);
    }
    Ok(())
}
