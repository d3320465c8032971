//! The job that lets accounts from before be found without the accents in their names.

use std::sync::Arc;

use reeve_db::Tx;
use reeve_jobs::{Job, Kind, Step, StepError};
use reeve_model::UserNum;
use reeve_store::{user_bulk, user_search};
use serde::{Deserialize, Serialize};

/// The name of the job, which a migration queues.
const JOB: &str = "index_accents";
/// How many accounts one step looks at.
const STEP_ACCOUNTS: i64 = 1000;

#[derive(Deserialize, Serialize)]
struct Progress {
    /// Accounts up to this number are done.
    after: UserNum,
}

/// The job.
pub fn job() -> Kind {
    Kind { name: JOB, step: Arc::new(|tx, job, _| step(tx, job)) }
}

fn step(tx: &mut Tx<'_>, job: &Job) -> Result<Step, StepError> {
    let hopeless = |error: serde_json::Error| StepError::Hopeless(error.to_string());
    let Progress { after } = serde_json::from_str(&job.payload).map_err(hopeless)?;
    let batch = user_bulk::unsearched(tx, after, STEP_ACCOUNTS)?;
    let Some((last, _)) = batch.last() else {
        return Ok(Step::Done { result: "null".to_owned(), done: job.done });
    };
    user_search::index_accents(tx, &batch)?;
    let done = job.done.saturating_add(i64::try_from(batch.len()).unwrap_or(STEP_ACCOUNTS));
    let payload = serde_json::to_string(&Progress { after: *last }).map_err(hopeless)?;
    Ok(Step::More { payload, done, total: job.total.max(done) })
}
