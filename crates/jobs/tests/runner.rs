//! Jobs and their runner, on both engines.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reeve_db::{DatabaseUrl, Db, DbError, Engine, Options};
use reeve_jobs::{Job, JobKind, Jobs, Step, Work};
use reeve_model::{Actor, Clock, HappeningKind, JobState, Millis};
use reeve_store::jobs::Units;
use reeve_store::webhooks::Terms;
use reeve_store::{MIGRATIONS, happenings, stream, webhooks};
use reeve_test_postgres::{create, drop_database, url_of};
use tempfile::TempDir;

/// Counts to its payload, one in each step.
const COUNT: JobKind<i64, i64, i64> = JobKind::new("count");
/// A kind that the runner does not know.
const OTHER: JobKind<(), (), ()> = JobKind::new("other");
/// The same kind as [`COUNT`] to a program with other types.
const MISTAKEN: JobKind<String, (), ()> = JobKind::new("count");
/// No wait in these tests takes so long.
const PATIENCE: Duration = Duration::from_secs(30);
const NOW: Millis = Millis::new(1_700_000_000_000);

macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(&super::Place::new(reeve_db::Engine::Sqlite)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if reeve_test_postgres::available() {
                    super::$name(&super::Place::new(reeve_db::Engine::Postgres)).await;
                }
            }
        }
    )* };
}

on_both_engines!(
    a_job_goes_on_from_step_to_step,
    a_payload_that_cannot_be_read_fails_the_job,
    an_unknown_kind_fails_the_job,
    a_commit_starts_its_job,
    a_job_of_another_process_is_waited_for,
    a_wait_ends_without_the_job,
    a_job_is_queued_once,
    long_jobs_leave_room_to_others,
    deaths_within_a_step_are_failures,
    a_cancelled_job_is_told,
    all_old_jobs_are_deleted,
);

/// A database that is deleted when the test ends.
struct Place {
    url: DatabaseUrl,
    name: String,
    _folder: Option<TempDir>,
}

impl Place {
    fn new(engine: Engine) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("reeve_jobs_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = DatabaseUrl::Sqlite(folder.path().join("test.db"));
                Self { url, name, _folder: Some(folder) }
            }
            Engine::Postgres => {
                create(&name);
                Self { url: DatabaseUrl::Postgres(url_of(&name)), name, _folder: None }
            }
        }
    }

    /// The parts of one process: a database of its own, and a runner that knows [`COUNT`] and is not started.
    async fn process(&self) -> (Db, Jobs) {
        self.process_at(Clock::manual(NOW)).await
    }

    async fn process_at(&self, clock: Clock) -> (Db, Jobs) {
        let options = Options { readers: 1, connections: 2, ..Options::default() };
        let db = Db::open(&self.url, options, MIGRATIONS).await.unwrap();
        let jobs = Jobs::new(db.clone(), clock, vec![COUNT.with_step(|_, work| Ok(count(work)))]);
        (db, jobs)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.url.engine() == Engine::Postgres {
            drop_database(&self.name);
        }
    }
}

fn count(work: Work<'_, i64, i64>) -> Step<i64, i64> {
    let (progress, done) = (work.progress + 1, work.done + 1);
    if progress < *work.payload {
        Step::More { progress, done }
    } else {
        Step::Done { result: progress, done }
    }
}

async fn enqueue(db: &Db, upto: i64) -> String {
    db.write(move |tx| COUNT.enqueue(tx, "@a:test", &upto, 2, NOW)).await.unwrap()
}

async fn finished(jobs: &Jobs, id: &str) -> Job {
    jobs.wait(id, PATIENCE).await.unwrap().unwrap()
}

async fn a_job_goes_on_from_step_to_step(place: &Place) {
    let (db, jobs) = place.process().await;
    let runner = jobs.start();
    let id = enqueue(&db, 3).await;
    let job = finished(&jobs, &id).await;
    assert_eq!(
        (job.state, job.units, job.error.as_deref()),
        (JobState::Complete, Units { done: 3, total: 3 }, None)
    );
    assert_eq!((&*job.kind, &*job.subject), ("count", "@a:test"));
    assert_eq!(COUNT.outcome(&job).unwrap(), Some(3));
    let wanted = id.clone();
    assert_eq!(db.read(move |tx| COUNT.find(tx, &wanted)).await.unwrap(), Some(job));
    assert_eq!(db.read(move |tx| OTHER.find(tx, &id)).await.unwrap(), None);
    jobs.stop();
    runner.await.unwrap();
}

async fn a_payload_that_cannot_be_read_fails_the_job(place: &Place) {
    let (db, jobs) = place.process().await;
    jobs.start();
    let id = db.write(|tx| MISTAKEN.enqueue(tx, "@a:test", &"three".to_owned(), 0, NOW)).await.unwrap();
    let job = finished(&jobs, &id).await;
    assert_eq!((job.state, job.attempts), (JobState::Failed, 1));
    let error = job.error.unwrap();
    assert!(error.starts_with("the payload cannot be read: invalid type: string \"three\""), "{error}");
}

async fn an_unknown_kind_fails_the_job(place: &Place) {
    let (db, jobs) = place.process().await;
    jobs.start();
    let id = db.write(|tx| OTHER.enqueue(tx, "@a:test", &(), 0, NOW)).await.unwrap();
    let job = finished(&jobs, &id).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.error.as_deref(), Some("this program does not know the job kind other"));
}

/// The queue is read every second without a notification: so many jobs, one after the other, would take half a minute.
async fn a_commit_starts_its_job(place: &Place) {
    let (db, jobs) = place.process().await;
    jobs.start();
    let all = async {
        for _ in 0..30 {
            let id = enqueue(&db, 1).await;
            assert_eq!(finished(&jobs, &id).await.state, JobState::Complete);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("each job starts at once");
}

async fn a_job_of_another_process_is_waited_for(place: &Place) {
    let (db, jobs) = place.process().await;
    let (_, other) = place.process().await;
    other.start();
    let id = enqueue(&db, 3).await;
    let job = jobs.wait(&id, PATIENCE * 2);
    let job =
        tokio::time::timeout(PATIENCE, job).await.expect("the end of the job is seen").unwrap().unwrap();
    assert_eq!((job.state, COUNT.outcome(&job).unwrap()), (JobState::Complete, Some(3)));
}

async fn a_wait_ends_without_the_job(place: &Place) {
    let (db, jobs) = place.process().await;
    let id = enqueue(&db, 3).await;
    let job = jobs.wait(&id, Duration::from_millis(300)).await.unwrap().unwrap();
    assert_eq!((job.state, job.units.done), (JobState::Scheduled, 0));
    assert_eq!(COUNT.outcome(&job).unwrap(), None);
    assert_eq!(jobs.wait("unknown", PATIENCE).await.unwrap(), None);
}

async fn a_job_is_queued_once(place: &Place) {
    let (db, jobs) = place.process().await;
    let once = async || {
        db.write(|tx| -> Result<_, DbError> {
            let id = COUNT.enqueue_once(tx, "@a:test", &1, 0, NOW)?;
            assert!(COUNT.is_unfinished(tx, "@a:test")?);
            assert!(!COUNT.is_unfinished(tx, "@b:test")?);
            Ok(id)
        })
        .await
        .unwrap()
    };
    let first = once().await;
    assert_eq!(once().await, first);
    jobs.start();
    assert_eq!(finished(&jobs, &first).await.state, JobState::Complete);
    assert_ne!(once().await, first);
}

/// As many endless jobs as run at a time, and one more that ends all the same.
async fn long_jobs_leave_room_to_others(place: &Place) {
    let (db, jobs) = place.process_at(Clock::default()).await;
    let long = [enqueue(&db, i64::MAX).await, enqueue(&db, i64::MAX).await, enqueue(&db, i64::MAX).await];
    let runner = jobs.start();
    // Each of them has begun.
    for id in &long {
        let begun = async {
            loop {
                let wanted = id.clone();
                let job = db.read(move |tx| COUNT.find(tx, &wanted)).await.unwrap().unwrap();
                if job.units.done > 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, begun).await.expect("every long job has its turn");
    }
    let short = enqueue(&db, 1).await;
    assert_eq!(finished(&jobs, &short).await.state, JobState::Complete);
    for id in long {
        let job = db.read(move |tx| COUNT.find(tx, &id)).await.unwrap().unwrap();
        assert!(matches!(job.state, JobState::Active | JobState::Scheduled), "{job:?}");
        assert_eq!((job.attempts, job.error), (0, None));
    }
    jobs.stop();
    runner.await.unwrap();
}

/// A step that ends its worker each time does not do so for ever, and one that was interrupted by chance goes on.
async fn deaths_within_a_step_are_failures(place: &Place) {
    const LEASE: i64 = 10_000;
    let (db, jobs) = place.process_at(Clock::manual(NOW.plus(100 * LEASE))).await;
    let deadly = enqueue(&db, 3).await;
    let claim = async |from: i64| {
        let now = NOW.plus(from * LEASE);
        db.write(move |tx| reeve_store::jobs::claim(tx, now, now.plus(LEASE))).await.unwrap().unwrap()
    };
    let first = claim(0).await;
    assert_eq!((&first.id, first.attempts), (&deadly, 0));
    for death in 1..10 {
        let again = claim(death).await;
        assert_eq!((&again.id, again.attempts), (&deadly, death));
    }
    let unlucky = enqueue(&db, 3).await;
    assert_eq!(claim(9).await.id, unlucky);
    // The worker that claims the first one after its tenth death gives it up.
    let runner = jobs.start();
    let job = finished(&jobs, &deadly).await;
    assert_eq!((job.state, job.attempts, job.units.done), (JobState::Failed, 10, 0));
    assert_eq!(job.error.as_deref(), Some("the server stopped within a step, or the step took too long"));
    let job = finished(&jobs, &unlucky).await;
    assert_eq!((job.state, job.attempts, job.error), (JobState::Complete, 0, None));
    jobs.stop();
    runner.await.unwrap();
}

async fn a_cancelled_job_is_told(place: &Place) {
    let (db, _jobs) = place.process().await;
    let id = enqueue(&db, 3).await;
    let cancelled = id.clone();
    let told = db.write(move |tx| -> Result<_, DbError> {
        let terms = Terms {
            description: String::new(),
            url: "https://example.org/".to_owned(),
            kinds: vec![HappeningKind::JobEnded],
            enabled: true,
        };
        let pos = stream::current(tx)?;
        let webhook = webhooks::insert(tx, "all", &terms, &Actor::Cli, pos, NOW)?.unwrap();
        let job = COUNT.find(tx, &cancelled)?.unwrap();
        assert!(COUNT.cancel(tx, &job, NOW)?);
        assert!(!COUNT.cancel(tx, &job, NOW)?);
        let told = happenings::next(tx, webhook, pos)?.unwrap();
        assert!(happenings::next(tx, webhook, told.pos)?.is_none(), "it is told once");
        Ok(told)
    });
    let told = told.await.unwrap();
    let details: serde_json::Value = serde_json::from_str(&told.details).unwrap();
    let expected = serde_json::json!({ "job_id": id, "kind": "count", "state": "cancelled", "error": null });
    assert_eq!((told.kind, details), (HappeningKind::JobEnded, expected));
}

async fn all_old_jobs_are_deleted(place: &Place) {
    const DAY: i64 = 86_400_000;
    let (db, jobs) = place.process().await;
    let old_ones = async || {
        db.write(|tx| -> Result<(), DbError> {
            for _ in 0..1200 {
                let id = COUNT.enqueue(tx, "@a:test", &1, 1, NOW)?;
                reeve_store::jobs::fail(tx, &id, "test", 1, NOW.minus(7 * DAY + 1))?;
            }
            let id = COUNT.enqueue(tx, "@a:test", &1, 1, NOW)?;
            reeve_store::jobs::fail(tx, &id, "test", 1, NOW.minus(7 * DAY))
        })
        .await
        .unwrap();
    };
    let left = async || {
        let states = db.read(reeve_store::jobs::states).await.unwrap();
        states.iter().map(|(_, _, count)| *count).sum::<i64>()
    };
    old_ones().await;
    jobs.prune().await.unwrap();
    assert_eq!(left().await, 1);
    // A runner that stops does not go on.
    old_ones().await;
    jobs.stop();
    jobs.prune().await.unwrap();
    assert_eq!(left().await, 702);
}
