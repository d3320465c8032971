//! The worker, with a kind of its own, on both engines.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reeve_db::{DatabaseUrl, Db, DbError, Engine, Options, ReadTx, Statement, Tx, params};
use reeve_deliver::{End, Kind, Next, Outcome, Plan, Retry, Then, Worker};
use reeve_model::{Clock, DeliveryKind, Millis};
use reeve_store::{MIGRATIONS, deliveries};
use reeve_test_postgres::{create, drop_database, url_of};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// No wait in these tests takes so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than the lease.
const STALL_MS: i64 = 200_000;
const NOW: Millis = Millis::new(1_700_000_000_000);

macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(super::Place::new(reeve_db::Engine::Sqlite)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if reeve_test_postgres::available() {
                    super::$name(super::Place::new(reeve_db::Engine::Postgres)).await;
                }
            }
        }
    )* };
}

on_both_engines!(
    messages_come_in_order_one_at_a_time,
    not_too_many_are_in_progress,
    a_mark_during_a_delivery_is_not_lost,
    another_process_takes_over_after_a_stall,
    failures_are_tried_again_after_longer_and_longer_pauses,
    a_message_that_fails_for_too_long_is_given_up,
    a_rejected_delivery_is_deleted,
    a_stop_releases_what_is_in_progress,
    a_rest_ends_at_its_time,
);

/// Numbered messages, the same for all targets. The cursor is the number of the last one that was delivered.
#[derive(Default)]
struct Log {
    end: AtomicI64,
    /// The time until which nothing is sent.
    not_before: AtomicI64,
    /// The messages that were given up.
    dead: Mutex<BTreeSet<(i64, i64)>>,
}

/// A message that is being sent.
struct Sending {
    target: i64,
    number: i64,
    answer: oneshot::Sender<Outcome>,
}

/// Sends messages to the test, which answers.
struct Toy {
    log: Arc<Log>,
    sent: UnboundedSender<Sending>,
}

impl Kind for Toy {
    type Target = i64;
    type Cursor = i64;
    type Message = (i64, i64);
    type Record = i64;
    type Error = DbError;

    const KIND: DeliveryKind = DeliveryKind::Push;
    const MAX_CONCURRENT: usize = 2;
    const RETRY: Retry = Retry { first_pause_ms: 1000, max_pause_ms: 5000, give_up_ms: 60_000 };

    fn plan(&self, _: &ReadTx<'_>, target: i64, cursor: i64, now: Millis) -> Result<Plan<Self>, DbError> {
        let end = self.log.end.load(Ordering::SeqCst);
        let not_before = Millis::new(self.log.not_before.load(Ordering::SeqCst));
        let number = cursor + 1;
        let after = |cursor| Next { cursor, then: if cursor < end { Then::Continue } else { Then::Rest } };
        Ok(if now < not_before {
            let waiting = Next { cursor, then: Then::RestUntil(not_before) };
            Plan { message: None, record: cursor, delivered: waiting, given_up: after(cursor) }
        } else if number > end {
            Plan { message: None, record: cursor, delivered: after(cursor), given_up: after(cursor) }
        } else {
            let message = Some((target, number));
            Plan { message, record: number, delivered: after(number), given_up: after(number) }
        })
    }

    async fn send(&self, (target, number): (i64, i64)) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.sent.send(Sending { target, number, answer }).unwrap();
        answered.await.unwrap()
    }

    fn store(&self, tx: &mut Tx<'_>, target: i64, end: &End, number: &i64, _: Millis) -> Result<(), DbError> {
        match end {
            End::Delivered => Ok(()),
            End::GivenUp(_) => {
                self.log.dead.lock().unwrap().insert((target, *number));
                Ok(())
            }
            End::Rejected(_) => deliveries::delete(tx, Self::KIND, &[target]),
        }
    }

    fn label(_: &(i64, i64)) -> &'static str {
        "toy"
    }
}

/// A database that is deleted when the test ends, the log, and the time.
struct Place {
    url: DatabaseUrl,
    name: String,
    _folder: Option<TempDir>,
    log: Arc<Log>,
    clock: Clock,
}

impl Place {
    fn new(engine: Engine) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("reeve_deliver_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (url, folder) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (DatabaseUrl::Sqlite(folder.path().join("test.db")), Some(folder))
            }
            Engine::Postgres => {
                create(&name);
                (DatabaseUrl::Postgres(url_of(&name)), None)
            }
        };
        Self { url, name, _folder: folder, log: Arc::default(), clock: Clock::manual(NOW) }
    }

    /// Starts a worker, with a database of its own.
    async fn process(&self) -> Process {
        let options = Options { readers: 1, connections: 2, ..Options::default() };
        let db = Db::open(&self.url, options, MIGRATIONS).await.unwrap();
        let (sent, sending) = unbounded_channel();
        let toy = Toy { log: Arc::clone(&self.log), sent };
        let worker = Arc::new(Worker::new(toy, db.clone(), self.clock.clone()));
        let stop = watch::Sender::new(false);
        let running = tokio::spawn(worker.run(stop.subscribe()));
        Process { db, clock: self.clock.clone(), sending, stop, running }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.url.engine() == Engine::Postgres {
            drop_database(&self.name);
        }
    }
}

struct Process {
    db: Db,
    clock: Clock,
    sending: UnboundedReceiver<Sending>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

const ROW_SQL: &str =
    "SELECT cursor, due_ts, claim, failures FROM deliveries WHERE kind = 'push' AND target_num = $1";
static ROW: Statement = Statement::new("tests::ROW", ROW_SQL, ROW_SQL);

/// A row of the table.
#[derive(Debug, PartialEq)]
struct Row {
    cursor: i64,
    due_ts: Option<Millis>,
    is_claimed: bool,
    failures: i64,
}

impl Row {
    /// One that rests until it is marked.
    fn resting(cursor: i64) -> Self {
        Self { cursor, due_ts: None, is_claimed: false, failures: 0 }
    }
}

impl Process {
    /// Adds deliveries that have delivered nothing.
    async fn add(&self, targets: &[i64]) {
        let targets = targets.to_vec();
        let add = move |tx: &mut Tx<'_>| {
            targets.iter().try_for_each(|target| deliveries::put(tx, Toy::KIND, *target, 0_i64, NOW))
        };
        self.db.write(add).await.unwrap();
    }

    async fn mark(&self, targets: &[i64]) {
        let (targets, now) = (targets.to_vec(), self.clock.now());
        self.db.write(move |tx| deliveries::mark(tx, Toy::KIND, &targets, now)).await.unwrap();
    }

    async fn row(&self, target: i64) -> Option<Row> {
        let row = self.db.read(move |tx| {
            tx.query_opt(&ROW, &params![target], |row| {
                let is_claimed = row.get::<Option<String>>(2)?.is_some();
                Ok(Row { cursor: row.get(0)?, due_ts: row.get(1)?, is_claimed, failures: row.get(3)? })
            })
        });
        row.await.unwrap()
    }

    async fn until(&self, target: i64, expected: Option<Row>) {
        let seen = async {
            while self.row(target).await != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            assert_eq!(self.row(target).await, expected);
        }
    }

    /// The next message that is sent.
    async fn next(&mut self) -> Sending {
        tokio::time::timeout(PATIENCE, self.sending.recv()).await.expect("a message is sent").unwrap()
    }

    /// The next message, answered with an outcome.
    async fn answer(&mut self, outcome: Outcome) -> (i64, i64) {
        let Sending { target, number, answer } = self.next().await;
        answer.send(outcome).unwrap();
        (target, number)
    }

    /// Returns true if nothing is sent for a while, in which the worker looks.
    async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(700), self.sending.recv()).await.is_err()
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(PATIENCE, self.running).await.expect("it stops").unwrap();
    }
}

fn failed() -> Outcome {
    Outcome::Failed("it rains".to_owned())
}

async fn messages_come_in_order_one_at_a_time(place: Place) {
    let mut process = place.process().await;
    process.add(&[1, 2]).await;
    assert!(process.is_quiet().await, "nothing is marked");
    place.log.end.store(5, Ordering::SeqCst);
    process.mark(&[1, 2]).await;
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for _ in 0..10 {
        let (target, number) = process.answer(Outcome::Delivered).await;
        assert_eq!(last.insert(target, number).unwrap_or_default() + 1, number);
    }
    for target in [1, 2] {
        process.until(target, Some(Row::resting(5))).await;
    }
    process.stop().await;
}

async fn not_too_many_are_in_progress(place: Place) {
    let mut process = place.process().await;
    place.log.end.store(1, Ordering::SeqCst);
    process.add(&[1, 2, 3]).await;
    process.mark(&[1, 2, 3]).await;
    let first = process.next().await;
    let second = process.next().await;
    assert!(process.is_quiet().await, "two are the most");
    first.answer.send(Outcome::Delivered).unwrap();
    let third = process.answer(Outcome::Delivered).await;
    second.answer.send(Outcome::Delivered).unwrap();
    let all: BTreeSet<i64> = [first.target, second.target, third.0].into();
    assert_eq!(all, [1, 2, 3].into());
    process.stop().await;
}

async fn a_mark_during_a_delivery_is_not_lost(place: Place) {
    let mut process = place.process().await;
    place.log.end.store(1, Ordering::SeqCst);
    process.add(&[1]).await;
    process.mark(&[1]).await;
    let first = process.next().await;
    // This message was not there when the worker planned to rest after the first.
    place.log.end.store(2, Ordering::SeqCst);
    process.mark(&[1]).await;
    first.answer.send(Outcome::Delivered).unwrap();
    assert_eq!(process.answer(Outcome::Delivered).await, (1, 2));
    process.until(1, Some(Row::resting(2))).await;
    process.stop().await;
}

async fn another_process_takes_over_after_a_stall(place: Place) {
    let mut stalled = place.process().await;
    place.log.end.store(2, Ordering::SeqCst);
    stalled.add(&[1, 2]).await;
    stalled.mark(&[1, 2]).await;
    // It has as many in progress as it may have, so that it claims nothing more.
    let late = [stalled.next().await, stalled.next().await];
    let mut other = place.process().await;
    assert!(other.is_quiet().await, "the lease has not ended");
    place.clock.advance(STALL_MS);
    let again = [other.next().await, other.next().await];
    for sending in &again {
        assert_eq!(sending.number, 1);
    }
    // The ends of the stalled deliveries come too late to change anything.
    for (sending, outcome) in late.into_iter().zip([failed(), Outcome::Delivered]) {
        sending.answer.send(outcome).unwrap();
    }
    assert!(stalled.is_quiet().await, "it does not go on either");
    for target in [1, 2] {
        let row = other.row(target).await.unwrap();
        assert_eq!((row.cursor, row.is_claimed, row.failures), (0, true, 0));
    }
    stalled.stop().await;
    for sending in again {
        sending.answer.send(Outcome::Delivered).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(other.answer(Outcome::Delivered).await.1, 2);
    }
    for target in [1, 2] {
        other.until(target, Some(Row::resting(2))).await;
    }
    other.stop().await;
}

async fn failures_are_tried_again_after_longer_and_longer_pauses(place: Place) {
    let mut process = place.process().await;
    place.log.end.store(1, Ordering::SeqCst);
    process.add(&[1]).await;
    process.mark(&[1]).await;
    for (failures, pause) in [(1, 1000), (2, 2000), (3, 4000), (4, 5000), (5, 5000)] {
        let outcome = if failures == 2 { Outcome::Refused("it is not allowed".to_owned()) } else { failed() };
        assert_eq!(process.answer(outcome).await, (1, 1));
        let due_ts = Some(place.clock.now().plus(pause));
        process.until(1, Some(Row { cursor: 0, due_ts, is_claimed: false, failures })).await;
        // A mark does not shorten the pause.
        process.mark(&[1]).await;
        place.clock.advance(pause - 1);
        if failures == 1 {
            assert!(process.is_quiet().await, "the pause has not ended");
        }
        place.clock.advance(1);
    }
    assert_eq!(process.answer(Outcome::Delivered).await, (1, 1));
    process.until(1, Some(Row::resting(1))).await;
    process.stop().await;
}

async fn a_message_that_fails_for_too_long_is_given_up(place: Place) {
    let mut process = place.process().await;
    place.log.end.store(2, Ordering::SeqCst);
    process.add(&[1]).await;
    process.mark(&[1]).await;
    assert_eq!(process.answer(failed()).await, (1, 1));
    let due_ts = Some(NOW.plus(1000));
    process.until(1, Some(Row { cursor: 0, due_ts, is_claimed: false, failures: 1 })).await;
    place.clock.advance(60_000);
    assert_eq!(process.answer(failed()).await, (1, 1));
    // The next one has all the time again.
    assert_eq!(process.answer(failed()).await, (1, 2));
    let due_ts = Some(NOW.plus(61_000));
    process.until(1, Some(Row { cursor: 1, due_ts, is_claimed: false, failures: 1 })).await;
    assert_eq!(*place.log.dead.lock().unwrap(), [(1, 1)].into());
    process.stop().await;
}

async fn a_rejected_delivery_is_deleted(place: Place) {
    let mut process = place.process().await;
    place.log.end.store(2, Ordering::SeqCst);
    process.add(&[1]).await;
    process.mark(&[1]).await;
    assert_eq!(process.answer(Outcome::Rejected("gone".to_owned())).await, (1, 1));
    process.until(1, None).await;
    assert!(process.is_quiet().await, "nothing is sent any more");
    process.stop().await;
}

async fn a_stop_releases_what_is_in_progress(place: Place) {
    let mut process = place.process().await;
    place.log.end.store(1, Ordering::SeqCst);
    process.add(&[1]).await;
    process.mark(&[1]).await;
    let sending = process.next().await;
    let mut other = place.process().await;
    process.stop().await;
    assert!(sending.answer.is_closed());
    // Another process need not wait for the end of the lease.
    assert_eq!(other.answer(Outcome::Delivered).await, (1, 1));
    other.until(1, Some(Row::resting(1))).await;
    other.stop().await;
}

async fn a_rest_ends_at_its_time(place: Place) {
    let mut process = place.process().await;
    place.log.end.store(1, Ordering::SeqCst);
    place.log.not_before.store(NOW.plus(10_000).get(), Ordering::SeqCst);
    process.add(&[1]).await;
    process.mark(&[1]).await;
    let due_ts = Some(NOW.plus(10_000));
    process.until(1, Some(Row { cursor: 0, due_ts, is_claimed: false, failures: 0 })).await;
    // A mark lets the worker look again; it still has to wait.
    place.log.not_before.store(NOW.plus(20_000).get(), Ordering::SeqCst);
    process.mark(&[1]).await;
    let due_ts = Some(NOW.plus(20_000));
    process.until(1, Some(Row { cursor: 0, due_ts, is_claimed: false, failures: 0 })).await;
    place.clock.advance(20_000);
    assert_eq!(process.answer(Outcome::Delivered).await, (1, 1));
    process.until(1, Some(Row::resting(1))).await;
    process.stop().await;
}
