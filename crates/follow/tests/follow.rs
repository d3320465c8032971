//! Following the stream, with a follower that writes down what it gets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reeve_db::{DatabaseUrl, Db, DbError, Options, ReadTx};
use reeve_follow::{Follower, Pace, Seen, follow};
use reeve_model::Pos;
use reeve_store::MIGRATIONS;
use reeve_store::stream::{self, Span};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// It looks at the stream when something is committed, and otherwise hardly ever.
const PACE: Pace = Pace { pause: Duration::from_millis(10), every: Duration::from_hours(1) };
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads two positions at a time, and fails when told to.
struct Reader {
    seen: UnboundedSender<Span>,
    fails: AtomicBool,
}

impl Follower for Reader {
    type News = Pos;

    const NAME: &'static str = "test";

    fn read(&self, _: &ReadTx<'_>, span: Span) -> Result<Seen<Pos>, DbError> {
        Ok(Seen { upto: span.after.plus(2).min(span.upto), news: span.after })
    }

    async fn act(&self, Seen { upto, news: after }: Seen<Pos>) -> Result<(), DbError> {
        // Before the span is seen, since what is seen makes the next one fail.
        let fails = self.fails.swap(false, Ordering::SeqCst);
        if upto > after {
            self.seen.send(Span { after, upto }).unwrap();
        }
        if fails { Err(DbError::NoRow) } else { Ok(()) }
    }
}

fn span(after: i64, upto: i64) -> Span {
    Span { after: Pos::new(after), upto: Pos::new(upto) }
}

async fn take(db: &Db, positions: usize) {
    db.write(move |tx| (0..positions).try_for_each(|_| stream::next(tx).map(|_| ()))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_span_comes_in_order_and_again_after_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("test.db"));
    let db = Db::open(&url, Options::default(), MIGRATIONS).await.unwrap();
    let (seen, mut spans) = unbounded_channel();
    let stop = watch::Sender::new(false);
    let reader = Arc::new(Reader { seen, fails: AtomicBool::new(false) });
    take(&db, 3).await;
    let following = tokio::spawn(follow(Arc::clone(&reader), db.clone(), PACE, stop.subscribe()));
    let mut next =
        async || tokio::time::timeout(PATIENCE, spans.recv()).await.expect("there is more").unwrap();
    // The positions from before the beginning come in parts.
    assert_eq!((next().await, next().await), (span(0, 2), span(2, 3)));
    // A commit is enough.
    take(&db, 1).await;
    assert_eq!(next().await, span(3, 4));
    reader.fails.store(true, Ordering::SeqCst);
    take(&db, 1).await;
    assert_eq!((next().await, next().await), (span(4, 5), span(4, 5)));
    take(&db, 1).await;
    assert_eq!(next().await, span(5, 6));
    stop.send_replace(true);
    tokio::time::timeout(PATIENCE, following).await.expect("it stops").unwrap();
}
