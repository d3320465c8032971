//! Jobs and their runner, on both engines.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reeve_db::{DatabaseUrl, Db, DbError, Engine, Options};
use reeve_jobs::{Job, JobKind, Jobs, Step, Work};
use reeve_model::{Clock, JobState, Millis};
use reeve_store::MIGRATIONS;
use reeve_store::jobs::Units;
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
        let options = Options { readers: 1, connections: 2, ..Options::default() };
        let db = Db::open(&self.url, options, MIGRATIONS).await.unwrap();
        let jobs =
            Jobs::new(db.clone(), Clock::manual(NOW), vec![COUNT.with_step(|_, work| Ok(count(work)))]);
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
