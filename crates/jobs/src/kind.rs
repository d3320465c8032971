//! Kinds of jobs: the types of their payload, progress and outcome. Jobs are stored as JSON, which is written and read
//! here alone.

use std::marker::PhantomData;
use std::sync::Arc;

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{JobState, Millis, random};
use reeve_store::jobs::{self, Job, NewJob};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::news::{self, QUEUED};

/// A kind of job: a constant beside the operation that queues it.
///
/// `Payload` is the task of a job and never changes. `Progress` is the default until the first step. `Outcome` is the
/// result. All are stored as JSON and outlive the program that stored them.
///
/// A step of other types cannot be given to the runner:
///
/// ```compile_fail,E0631
/// # use reeve_jobs::{JobKind, Step, Work};
/// const JOB: JobKind<i64, i64, ()> = JobKind::new("count");
/// let _ = JOB.with_step(|_, work: Work<'_, String, i64>| Ok(Step::Done { result: (), done: work.done }));
/// ```
pub struct JobKind<Payload, Progress, Outcome> {
    name: &'static str,
    types: PhantomData<fn(Payload, Progress) -> Outcome>,
}

impl<Payload, Progress, Outcome> JobKind<Payload, Progress, Outcome> {
    /// A kind with the name under which its jobs are stored and shown.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// The name under which its jobs are stored and shown.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the job of this kind with an id, whatever its state.
    pub fn find(&self, tx: &ReadTx<'_>, id: &str) -> Result<Option<Job>, DbError> {
        Ok(jobs::find(tx, id)?.filter(|job| job.kind == self.name))
    }

    /// Returns the newest job of this kind on a subject, whatever its state.
    pub fn newest(&self, tx: &ReadTx<'_>, subject: &str) -> Result<Option<Job>, DbError> {
        jobs::newest(tx, subject, self.name)
    }

    /// Lets a job rest after its present step; returns false if it rests already, or is over.
    pub fn pause(&self, tx: &mut Tx<'_>, job: &Job, now: Millis) -> Result<bool, DbError> {
        jobs::pause(tx, &job.id, now)
    }

    /// Lets a paused job continue; returns false if it is not paused.
    pub fn resume(&self, tx: &mut Tx<'_>, job: &Job, now: Millis) -> Result<bool, DbError> {
        tx.notify(QUEUED);
        jobs::resume(tx, &job.id, now)
    }

    /// Ends a job after its present step, and tells webhooks; returns false if it is over.
    pub fn cancel(&self, tx: &mut Tx<'_>, job: &Job, now: Millis) -> Result<bool, DbError> {
        let is_cancelled = jobs::cancel(tx, &job.id, now)?;
        if is_cancelled {
            news::ended(tx, job, JobState::Cancelled, None, now)?;
        }
        Ok(is_cancelled)
    }

    /// Returns the job of the kind that waits or runs for the subject, if there is one.
    pub fn unfinished(&self, tx: &ReadTx<'_>, subject: &str) -> Result<Option<Job>, DbError> {
        jobs::unfinished(tx, subject, self.name)
    }

    /// Returns true if a job of the kind waits or runs for the subject.
    pub fn is_unfinished(&self, tx: &ReadTx<'_>, subject: &str) -> Result<bool, DbError> {
        Ok(self.unfinished(tx, subject)?.is_some())
    }
}

impl<Payload: Serialize, Progress: Serialize, Outcome> JobKind<Payload, Progress, Outcome> {
    /// Queues a job and returns its id. It starts when the transaction is committed. `total` is the number of units of
    /// work, as far as known.
    pub fn enqueue(
        &self,
        tx: &mut Tx<'_>,
        subject: &str,
        payload: &Payload,
        total: i64,
        now: Millis,
    ) -> Result<String, DbError> {
        let id = random::letters(16);
        let stored = write(&Stored { payload, progress: None::<&Progress> })?;
        jobs::insert(tx, NewJob { id: &id, kind: self.name, subject, payload: &stored, total }, now)?;
        tx.notify(QUEUED);
        Ok(id)
    }

    /// Queues a job unless one of the kind waits or runs for the subject; returns the id of that job.
    pub fn enqueue_once(
        &self,
        tx: &mut Tx<'_>,
        subject: &str,
        payload: &Payload,
        total: i64,
        now: Millis,
    ) -> Result<String, DbError> {
        match jobs::unfinished(tx, subject, self.name)? {
            Some(job) => Ok(job.id),
            None => self.enqueue(tx, subject, payload, total, now),
        }
    }
}

impl<Payload, Progress, Outcome: DeserializeOwned> JobKind<Payload, Progress, Outcome> {
    /// Returns the outcome of a job of this kind; `None` unless it is complete.
    ///
    /// # Errors
    /// [`DbError::Internal`]: the stored result is of another form.
    pub fn outcome(&self, job: &Job) -> Result<Option<Outcome>, DbError> {
        let parsed = job.result.as_deref().map(serde_json::from_str).transpose();
        parsed.map_err(|error| DbError::Internal(format!("the result of a job cannot be read: {error}")))
    }
}

impl<Payload: DeserializeOwned, Progress: Default + DeserializeOwned, Outcome>
    JobKind<Payload, Progress, Outcome>
{
    /// Returns the payload of a job of this kind.
    ///
    /// # Errors
    /// [`DbError::Internal`]: what is stored of the job is of another form.
    pub fn payload(&self, job: &Job) -> Result<Payload, DbError> {
        Ok(read::<Payload, Progress>(job)?.payload)
    }

    /// Returns the progress of a job of this kind.
    ///
    /// # Errors
    /// [`DbError::Internal`]: what is stored of the job is of another form.
    pub fn progress(&self, job: &Job) -> Result<Progress, DbError> {
        Ok(read::<Payload, Progress>(job)?.progress.unwrap_or_default())
    }
}

impl<Payload, Progress, Outcome> JobKind<Payload, Progress, Outcome>
where
    Payload: Serialize + DeserializeOwned,
    Progress: Default + Serialize + DeserializeOwned,
    Outcome: Serialize,
{
    /// Returns the kind with its step, for the runner.
    pub fn with_step<F>(&self, step: F) -> Kind
    where
        F: Fn(&mut Tx<'_>, Work<'_, Payload, Progress>) -> Result<Step<Progress, Outcome>, StepError>
            + Send
            + Sync
            + 'static,
    {
        let step = move |tx: &mut Tx<'_>, job: &Job, now: Millis| {
            let Stored { payload, progress } =
                serde_json::from_str::<Stored<Payload, Progress>>(&job.payload)
                    .map_err(|error| StepError::Hopeless(format!("the payload cannot be read: {error}")))?;
            let (subject, progress) = (job.subject.as_str(), progress.unwrap_or_default());
            let work = Work { subject, payload: &payload, progress, done: job.units.done, now };
            Ok(match step(tx, work)? {
                Step::More { progress, done } => {
                    let progress = write(&Stored { payload: &payload, progress: Some(&progress) })?;
                    Step::More { progress, done }
                }
                Step::Done { result, done } => Step::Done { result: write(&result)?, done },
            })
        };
        Kind { name: self.name, step: Arc::new(step) }
    }
}

/// The form of the column `payload`. A job that has not begun has no progress.
#[derive(Deserialize, Serialize)]
struct Stored<Payload, Progress> {
    payload: Payload,
    progress: Option<Progress>,
}

fn read<Payload: DeserializeOwned, Progress: DeserializeOwned>(
    job: &Job,
) -> Result<Stored<Payload, Progress>, DbError> {
    serde_json::from_str(&job.payload).map_err(|error| {
        DbError::Internal(format!("the payload or progress of a job cannot be read: {error}"))
    })
}

fn write(value: &impl Serialize) -> Result<String, DbError> {
    serde_json::to_string(value)
        .map_err(|error| DbError::Internal(format!("a job cannot be written as JSON: {error}")))
}

/// A job in the hands of its step.
pub struct Work<'j, Payload, Progress> {
    /// The id of the thing that it works on, such as a user id or a room id.
    pub subject: &'j str,
    /// Its payload, which never changes.
    pub payload: &'j Payload,
    /// Its progress.
    pub progress: Progress,
    /// The number of units of work that earlier steps completed.
    pub done: i64,
    /// The time, in milliseconds.
    pub now: Millis,
}

/// The result of a step.
#[derive(Debug)]
pub enum Step<Progress, Outcome> {
    /// There is more to do.
    More {
        /// The new progress.
        progress: Progress,
        /// The number of completed units of work. The total is raised to it.
        done: i64,
    },
    /// The job is finished.
    Done {
        /// The outcome.
        result: Outcome,
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

/// A step on stored JSON. Its progress is the whole new payload.
type StepFn = dyn Fn(&mut Tx<'_>, &Job, Millis) -> Result<Step<String, String>, StepError> + Send + Sync;

/// A kind of job and its step, made by [`JobKind::with_step`].
#[derive(Clone)]
pub struct Kind {
    pub(crate) name: &'static str,
    pub(crate) step: Arc<StepFn>,
}
