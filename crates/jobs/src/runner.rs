//! The job runner: claims jobs and runs their steps, one after the other.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError, Tx};
use reeve_model::clock::monotonic;
use reeve_model::{Clock, JobState, Millis};
use reeve_store::jobs::{self, Units};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::metrics::Metrics;
use crate::news::{self, QUEUED};
use crate::{Job, Kind, Step, StepError};

/// The lease of a job: a worker that does not finish a step in this time counts as dead, and another claims its
/// job.
const LEASE_MS: i64 = 10_000;
/// Maximum number of failures of a step in a row, including deaths of its worker; then the job fails.
const MAX_ATTEMPTS: i64 = 10;
/// The time after which a job goes back to the end of the queue, so that long jobs leave room to those that wait.
const TURN: Duration = Duration::from_secs(2);
/// The longest pause between two attempts.
const MAX_PAUSE_MS: i64 = 300_000;
/// Interval at which the queue is read without a notification: finds jobs of other processes and retries.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Interval at which a job that is waited for is read without a notification: another process may finish it.
const READ_EVERY: Duration = Duration::from_millis(200);
/// The time for which finished jobs are kept.
const KEEP_MS: i64 = 7 * 24 * 3600 * 1000;
/// Maximum number of finished jobs of a state that one transaction deletes.
const PRUNE_AT_ONCE: i64 = 500;
/// Maximum number of concurrent jobs.
const AT_ONCE: usize = 2;

struct Inner {
    db: Db,
    clock: Clock,
    kinds: Vec<Kind>,
    /// Notified when this process has run a job.
    finished: Notify,
    stop: watch::Sender<bool>,
    metrics: Metrics,
}

/// The runner of all jobs.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

impl Jobs {
    /// A runner that knows these kinds of jobs. Nothing runs until [`Jobs::start`].
    pub fn new(db: Db, clock: Clock, kinds: Vec<Kind>) -> Self {
        let stop = watch::Sender::new(false);
        let metrics = Metrics::default();
        Self(Arc::new(Inner { db, clock, kinds, finished: Notify::new(), stop, metrics }))
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Sets the metrics whose values the database holds, as they were just read: kind, state, number of jobs.
    pub fn measured(&self, states: &[(String, JobState, i64)]) {
        self.0.metrics.set(states);
    }

    /// Starts to run jobs: those queued by this process at once, others within a second. The task ends after
    /// [`Jobs::stop`].
    pub fn start(&self) -> JoinHandle<()> {
        tokio::spawn(work(Arc::clone(&self.0)))
    }

    /// Stops after the current steps.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Waits until a job is finished, by whichever process, but not longer than `most`; returns the job as it is then.
    pub async fn wait(&self, id: &str, most: Duration) -> Result<Option<Job>, DbError> {
        let deadline = tokio::time::sleep(most);
        tokio::pin!(deadline);
        let mut expired = false;
        loop {
            let finished = self.0.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            let wanted = id.to_owned();
            let job = self.0.db.read(move |tx| jobs::find(tx, &wanted)).await?;
            if expired || job.as_ref().is_none_or(|job| job.state.is_over()) {
                return Ok(job);
            }
            tokio::select! {
                () = finished => {}
                () = tokio::time::sleep(READ_EVERY) => {}
                () = &mut deadline => expired = true,
            }
        }
    }

    /// Deletes old finished jobs in short transactions, until none is left or [`Jobs::stop`] is called.
    pub async fn prune(&self) -> Result<(), DbError> {
        let before = self.0.clock.now().minus(KEEP_MS);
        while self.0.db.write(move |tx| jobs::prune(tx, before, PRUNE_AT_ONCE)).await? {
            if *self.0.stop.borrow() {
                break;
            }
        }
        Ok(())
    }
}

async fn work(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    let mut queued = inner.db.listen(QUEUED);
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        while running.len() < AT_ONCE && !*stop.borrow() {
            match claim(&inner).await {
                Ok(Some(taken)) => _ = running.spawn(run_and_notify(Arc::clone(&inner), taken, stop.clone())),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "the job queue cannot be read");
                    break;
                }
            }
        }
        tokio::select! {
            () = queued.notified() => {}
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    while running.join_next().await.is_some() {}
}

async fn run_and_notify(inner: Arc<Inner>, taken: Taken, stop: watch::Receiver<bool>) {
    run(&inner, taken, &stop).await;
    inner.finished.notify_waiters();
}

/// A claimed job. Another claim changes the end of the lease, so that the end identifies the owner.
struct Taken {
    job: Job,
    lease_until: Millis,
}

async fn claim(inner: &Inner) -> Result<Option<Taken>, DbError> {
    let lease_until = inner.clock.now().plus(LEASE_MS);
    let job = inner.db.write(move |tx| jobs::claim(tx, lease_until.minus(LEASE_MS), lease_until)).await?;
    Ok(job.map(|job| Taken { job, lease_until }))
}

/// Runs the steps of a job until it is finished, fails, its turn ends, or the server stops.
async fn run(inner: &Inner, taken: Taken, stop: &watch::Receiver<bool>) {
    let Taken { mut job, mut lease_until } = taken;
    let Some(kind) = inner.kinds.iter().find(|kind| kind.name == job.kind).cloned() else {
        let reason = format!("this program does not know the job kind {}", job.kind);
        return give_up(inner, Taken { job: failed_again(job), lease_until }, reason).await;
    };
    if job.attempts >= MAX_ATTEMPTS {
        // Its last worker did not live to say that the step failed.
        let reason = job.error.clone().unwrap_or_default();
        return give_up(inner, Taken { job, lease_until }, reason).await;
    }
    if job.units.done == 0 {
        tracing::info!(job = job.id, kind = job.kind, subject = job.subject, "job starts");
    }
    let begin = monotonic();
    loop {
        if *stop.borrow() || begin.elapsed() > TURN {
            return put_back(inner, Taken { job, lease_until }).await;
        }
        let (current, now, step) = (job.clone(), inner.clock.now(), Arc::clone(&kind.step));
        // Each lease ends later than the last, even if a test's clock stands still.
        let next_lease = now.plus(LEASE_MS).max(lease_until.plus(1));
        let outcome = inner
            .db
            .write(move |tx| -> Result<Option<Step<String, String>>, StepError> {
                if jobs::lease(tx, &current.id)? != Some(lease_until) {
                    return Ok(None);
                }
                let step = step(tx, &current, now)?;
                match &step {
                    Step::More { progress, done } => {
                        let units = after(current.units, *done);
                        jobs::progress(tx, &current.id, progress, units, next_lease, now)?;
                    }
                    Step::Done { result, done } => {
                        jobs::complete(tx, &current.id, result, after(current.units, *done), now)?;
                        news::ended(tx, &current, JobState::Complete, None, now)?;
                    }
                }
                Ok(Some(step))
            })
            .await;
        match outcome {
            Ok(Some(Step::More { progress, done })) => {
                lease_until = next_lease;
                job = Job { payload: progress, units: after(job.units, done), attempts: 0, ..job };
            }
            Ok(Some(Step::Done { .. })) => {
                tracing::info!(job = job.id, kind = job.kind, subject = job.subject, "job is complete");
                return;
            }
            // Another worker claimed it.
            Ok(None) => return,
            Err(StepError::Hopeless(reason)) => {
                return give_up(inner, Taken { job: failed_again(job), lease_until }, reason).await;
            }
            Err(StepError::Db(error)) if job.attempts + 1 >= MAX_ATTEMPTS => {
                return give_up(inner, Taken { job: failed_again(job), lease_until }, error.to_string())
                    .await;
            }
            Err(StepError::Db(error)) => {
                return put_off(inner, Taken { job, lease_until }, error.to_string()).await;
            }
        }
    }
}

/// Returns a job after one more failure of its step.
fn failed_again(job: Job) -> Job {
    Job { attempts: job.attempts + 1, ..job }
}

/// Returns the units of work when so many are done. The total is raised to them.
fn after(units: Units, done: i64) -> Units {
    Units { done, total: units.total.max(done) }
}

/// Stores the end of a job's run by this worker, if the worker still owns it.
async fn settle(
    inner: &Inner,
    taken: &Taken,
    write: impl Fn(&mut Tx<'_>, &Job) -> Result<(), DbError> + Send + 'static,
) {
    let (job, lease_until) = (taken.job.clone(), taken.lease_until);
    let settled = inner
        .db
        .write(move |tx| -> Result<(), DbError> {
            if jobs::lease(tx, &job.id)? == Some(lease_until) { write(tx, &job) } else { Ok(()) }
        })
        .await;
    if let Err(error) = settled {
        tracing::error!(%error, job = taken.job.id, "a job cannot be released; it continues when its lease ends");
    }
}

async fn put_back(inner: &Inner, taken: Taken) {
    let now = inner.clock.now();
    settle(inner, &taken, move |tx, job| jobs::release(tx, &job.id, now)).await;
}

async fn give_up(inner: &Inner, taken: Taken, reason: String) {
    tracing::error!(job = taken.job.id, kind = taken.job.kind, reason, "job failed");
    let now = inner.clock.now();
    settle(inner, &taken, move |tx, job| {
        jobs::fail(tx, &job.id, &reason, job.attempts, now)?;
        news::ended(tx, job, JobState::Failed, Some(&reason), now)
    })
    .await;
}

async fn put_off(inner: &Inner, taken: Taken, reason: String) {
    tracing::warn!(job = taken.job.id, kind = taken.job.kind, reason, "a step failed and will be retried");
    let now = inner.clock.now();
    let pause = 1000_i64.saturating_mul(1 << taken.job.attempts.clamp(0, 16)).min(MAX_PAUSE_MS);
    settle(inner, &taken, move |tx, job| jobs::retry(tx, &job.id, &reason, now.plus(pause), now)).await;
}
