//! Following the stream: a part of the server that acts on all that is new does so with a position of its own.
//!
//! A follower gets each span of the stream, in order. A commit of this process is a hint to look at once; the stream
//! is looked at without one, too, since other processes write to it. An error of the database delays a follower and
//! makes it skip nothing: it acts again on the span on which it failed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use reeve_db::{Db, DbError, ReadTx};
use reeve_model::Pos;
use reeve_store::stream::{self, Span};
use tokio::sync::watch;

/// The pause after the first error; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The pace of a follower.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The pause after each look, in which changes gather; zero for none.
    pub pause: Duration,
    /// The interval at which the stream is looked at without a hint.
    pub every: Duration,
}

/// The result of reading a span of the stream.
#[derive(Debug)]
pub struct Seen<News> {
    /// The position up to which this is everything.
    pub upto: Pos,
    /// The changes in it.
    pub news: News,
}

/// A part of the server that acts on what is new in the stream.
pub trait Follower: Send + Sync + 'static {
    /// The changes that it acts on.
    type News: Send + 'static;

    /// Its name in the log.
    const NAME: &'static str;

    /// Reads what is new in a span of the stream, or in the beginning of it. The first span begins at
    /// [`Pos::ZERO`]; a follower that keeps its position, or needs nothing from before, reads from where it wants.
    /// Spans are empty while nothing is new.
    fn read(&self, tx: &ReadTx<'_>, span: Span) -> Result<Seen<Self::News>, DbError>;

    /// Acts on what was read, up to a position. After an error, it is read and acted on again.
    fn act(&self, seen: Seen<Self::News>) -> impl Future<Output = Result<(), DbError>> + Send;
}

/// Lets a follower follow the stream until stopped.
pub async fn follow<F: Follower>(follower: Arc<F>, db: Db, pace: Pace, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        never = keep_up(&follower, &db, pace) => match never {},
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn keep_up<F: Follower>(follower: &Arc<F>, db: &Db, pace: Pace) -> Infallible {
    let mut grown = db.listen(stream::GROWN);
    let mut after = Pos::ZERO;
    let mut pause_after_error = FIRST_PAUSE;
    loop {
        match look(follower, db, after).await {
            Ok(looked) => {
                (after, pause_after_error) = (looked.upto, FIRST_PAUSE);
                if looked.upto < looked.end {
                    continue;
                }
                if !pace.pause.is_zero() {
                    tokio::time::sleep(pace.pause).await;
                }
                tokio::select! {
                    () = grown.notified() => {}
                    () = tokio::time::sleep(pace.every) => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, follower = F::NAME, "the stream cannot be followed; retrying");
                tokio::time::sleep(pause_after_error).await;
                pause_after_error = MAX_PAUSE.min(pause_after_error * 2);
            }
        }
    }
}

/// The result of a look.
struct Looked {
    /// The position up to which the follower has acted.
    upto: Pos,
    /// The end of the stream.
    end: Pos,
}

async fn look<F: Follower>(follower: &Arc<F>, db: &Db, after: Pos) -> Result<Looked, DbError> {
    let reader = Arc::clone(follower);
    let (end, seen) = db
        .read(move |tx| -> Result<_, DbError> {
            // The end goes back when the newest row is deleted.
            let end = stream::current(tx)?.max(after);
            Ok((end, reader.read(tx, Span { after, upto: end })?))
        })
        .await?;
    let upto = seen.upto;
    follower.act(seen).await?;
    Ok(Looked { upto, end })
}
