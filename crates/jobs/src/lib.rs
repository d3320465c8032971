//! Durable work. A job is queued in the transaction of its cause, survives a crash and can be watched.
//!
//! A job runs in steps. Each step is one short transaction that does a part of the work and stores the
//! progress, so that each part is done exactly once whatever happens between steps, and the one writer of the
//! embedded database is never held for long.

mod runner;

use std::sync::Arc;

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Millis, random};
use reeve_store::jobs;
pub use reeve_store::jobs::Job;

pub use runner::Jobs;

/// The result of a step.
#[derive(Clone, Debug)]
pub enum Step {
    /// There is more to do.
    More {
        /// The state for the next step, as JSON.
        payload: String,
        /// The number of completed units of work.
        done: i64,
        /// The total number of units of work.
        total: i64,
    },
    /// The job is finished.
    Done {
        /// The result, as JSON.
        result: String,
        /// The number of completed units of work.
        done: i64,
    },
}

/// The reason of a failed step.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It may succeed later: it is retried, a bounded number of times.
    #[error(transparent)]
    Db(#[from] DbError),
    /// It will never succeed.
    #[error("{0}")]
    Hopeless(String),
}

/// One step of a job: a part of its work, on one transaction. `now` is in milliseconds.
pub type StepFn = Arc<dyn Fn(&mut Tx<'_>, &Job, Millis) -> Result<Step, StepError> + Send + Sync>;

/// A kind of job and its step function.
#[derive(Clone)]
pub struct Kind {
    /// The name under which it is queued.
    pub name: &'static str,
    /// Its work.
    pub step: StepFn,
}

/// Queues a job and returns its id. It starts once the transaction is committed.
pub fn enqueue(
    tx: &mut Tx<'_>,
    kind: &'static str,
    subject: &str,
    payload: &str,
    total: i64,
    now: Millis,
) -> Result<String, DbError> {
    let id = random::letters(16);
    jobs::insert(tx, &id, kind, subject, payload, total, now)?;
    Ok(id)
}

/// Queues a job unless one of the kind waits or runs for the subject; returns the id of that job.
pub fn enqueue_once(
    tx: &mut Tx<'_>,
    kind: &'static str,
    subject: &str,
    payload: &str,
    total: i64,
    now: Millis,
) -> Result<String, DbError> {
    match jobs::unfinished(tx, subject, kind)? {
        Some(job) => Ok(job.id),
        None => enqueue(tx, kind, subject, payload, total, now),
    }
}

/// One job, whatever its state.
pub fn find(tx: &ReadTx<'_>, id: &str) -> Result<Option<Job>, DbError> {
    jobs::find(tx, id)
}
