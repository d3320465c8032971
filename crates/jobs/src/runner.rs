//! Runs jobs, one step after the other.

use std::sync::Arc;
use std::time::Duration;

use reeve_db::{Db, DbError};
use reeve_model::Clock;
use reeve_store::jobs;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::{Job, Kind, Step, StepError};

/// A worker that does not finish a step in this time is taken for dead.
const LEASE_MS: i64 = 60_000;
/// A step that fails this often in a row fails the job.
const MOST_ATTEMPTS: i64 = 10;
/// The longest pause between two attempts.
const LONGEST_PAUSE_MS: i64 = 300_000;
/// How often the queue is looked at without being told to: finds jobs of other processes and retries.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Finished jobs are kept this long.
const KEEP_MS: i64 = 7 * 24 * 3600 * 1000;
/// How many finished jobs one call forgets.
const PRUNE_AT_ONCE: i64 = 500;
/// Jobs that run at the same time.
const WORKERS: usize = 2;

struct Inner {
    db: Db,
    clock: Clock,
    kinds: Vec<Kind>,
    queued: Notify,
    finished: Notify,
    stop: watch::Sender<bool>,
}

/// The runner of all jobs.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

impl Jobs {
    /// A runner that knows these kinds of jobs. Nothing runs until [`Jobs::start`].
    pub fn new(db: Db, clock: Clock, kinds: Vec<Kind>) -> Self {
        let stop = watch::Sender::new(false);
        Self(Arc::new(Inner { db, clock, kinds, queued: Notify::new(), finished: Notify::new(), stop }))
    }

    /// Starts the workers. They end after [`Jobs::stop`].
    pub fn start(&self) -> Vec<JoinHandle<()>> {
        (0..WORKERS).map(|_| tokio::spawn(work(Arc::clone(&self.0)))).collect()
    }

    /// Says that a job was queued; without it the job starts a little later.
    pub fn wake(&self) {
        self.0.queued.notify_one();
    }

    /// Lets the workers finish the step they are at, and no more.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Waits until a job is finished, but not longer than `most`; answers it as it is then.
    pub async fn wait(&self, id: &str, most: Duration) -> Result<Option<Job>, DbError> {
        let deadline = tokio::time::sleep(most);
        tokio::pin!(deadline);
        loop {
            let finished = self.0.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            let wanted = id.to_owned();
            let job = self.0.db.read(move |tx| jobs::find(tx, &wanted)).await?;
            if job.as_ref().is_none_or(|job| matches!(&*job.state, "complete" | "failed" | "cancelled")) {
                return Ok(job);
            }
            tokio::select! {
                () = finished => {}
                () = &mut deadline => return Ok(job),
            }
        }
    }

    /// Forgets jobs that finished long ago.
    pub async fn prune(&self) -> Result<(), DbError> {
        let before = self.0.clock.now_ms() - KEEP_MS;
        self.0.db.write(move |tx| jobs::prune(tx, before, PRUNE_AT_ONCE)).await
    }
}

async fn work(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    while !*stop.borrow() {
        match claim(&inner).await {
            Ok(Some(job)) => {
                // There may be more: let another worker look.
                inner.queued.notify_one();
                run(&inner, job, &stop).await;
                inner.finished.notify_waiters();
            }
            Ok(None) => {
                tokio::select! {
                    () = inner.queued.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the queue of jobs cannot be read");
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        }
    }
}

async fn claim(inner: &Inner) -> Result<Option<Job>, DbError> {
    let now = inner.clock.now_ms();
    inner.db.write(move |tx| jobs::claim(tx, now, now + LEASE_MS)).await
}

/// Takes the steps of a job until it is finished, fails, or the server stops.
async fn run(inner: &Inner, job: Job, stop: &watch::Receiver<bool>) {
    let Some(kind) = inner.kinds.iter().find(|kind| kind.name == job.kind).copied() else {
        give_up(inner, &job, format!("this program knows no jobs of the kind {}", job.kind)).await;
        return;
    };
    tracing::info!(job = job.id, kind = job.kind, subject = job.subject, "job starts");
    let mut job = job;
    loop {
        if *stop.borrow() {
            let (id, now) = (job.id.clone(), inner.clock.now_ms());
            if let Err(error) = inner.db.write(move |tx| jobs::release(tx, &id, now)).await {
                tracing::warn!(%error, job = job.id, "a job cannot be put back; it goes on when its lease ends");
            }
            return;
        }
        let (current, now) = (job.clone(), inner.clock.now_ms());
        let outcome = inner
            .db
            .write(move |tx| -> Result<Option<Step>, StepError> {
                // Another worker may have taken over a job whose lease ran out.
                if jobs::lease(tx, &current.id)?.is_none() {
                    return Ok(None);
                }
                let step = (kind.step)(tx, &current, now)?;
                match &step {
                    Step::More { payload, done, total } => {
                        jobs::progress(tx, &current.id, payload, (*done, *total), now + LEASE_MS, now)?;
                    }
                    Step::Done { result, done } => {
                        jobs::complete(tx, &current.id, result, (*done, (*done).max(current.total)), now)?;
                    }
                }
                Ok(Some(step))
            })
            .await;
        match outcome {
            Ok(Some(Step::More { payload, done, total })) => {
                job = Job { payload, done, total, attempts: 0, ..job }
            }
            Ok(Some(Step::Done { .. })) => {
                tracing::info!(job = job.id, kind = job.kind, subject = job.subject, "job is complete");
                return;
            }
            Ok(None) => return,
            Err(StepError::Hopeless(reason)) => return give_up(inner, &job, reason).await,
            Err(StepError::Db(error)) if job.attempts + 1 >= MOST_ATTEMPTS => {
                return give_up(inner, &job, error.to_string()).await;
            }
            Err(StepError::Db(error)) => return put_off(inner, &job, error.to_string()).await,
        }
    }
}

async fn give_up(inner: &Inner, job: &Job, reason: String) {
    tracing::error!(job = job.id, kind = job.kind, reason, "job failed");
    let (id, now) = (job.id.clone(), inner.clock.now_ms());
    if let Err(error) = inner.db.write(move |tx| jobs::fail(tx, &id, &reason, now)).await {
        tracing::error!(%error, job = job.id, "the failure of a job cannot be written down");
    }
}

async fn put_off(inner: &Inner, job: &Job, reason: String) {
    tracing::warn!(job = job.id, kind = job.kind, reason, "a step failed and will be tried again");
    let (id, now) = (job.id.clone(), inner.clock.now_ms());
    let pause = 1000_i64.saturating_mul(1 << job.attempts.clamp(0, 16)).min(LONGEST_PAUSE_MS);
    if let Err(error) = inner.db.write(move |tx| jobs::retry(tx, &id, &reason, now + pause, now)).await {
        tracing::error!(%error, job = job.id, "the failure of a step cannot be written down");
    }
}
