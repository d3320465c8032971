//! Batches that were ordered: how far they are, and pausing, resuming and cancelling them.

use std::sync::Arc;

use reeve_accounts::{audit, rights};
use reeve_db::{Db, DbError, ReadTx, Tx};
use reeve_jobs::Job;
use reeve_model::{Ctx, JobState, Millis};
use reeve_store::batches::{self, Batch};
use reeve_store::{SortKey, jobs};
use serde_json::{Value, json};

use crate::act::Act;
use crate::error::Error;
use crate::job::{Counts, JOB};
use crate::spec::Spec;

/// Number of rows of old batches that one transaction deletes.
const PRUNE_AT_ONCE: i64 = 5000;

/// A batch, as administrators see it.
#[derive(Clone, Debug)]
pub struct View {
    /// The stored batch.
    pub batch: Batch,
    /// The act.
    pub act: Act,
    /// The filter of the selection, as JSON; `None` if the accounts were named.
    pub filter: Option<Value>,
    /// The state of its job.
    pub state: JobState,
    /// The number of accounts that are done with, whatever the outcome.
    pub done: i64,
    /// The number of selected accounts.
    pub total: i64,
    /// The outcomes so far.
    pub counts: Counts,
    /// The reason why it stopped, or the last error.
    pub error: Option<String>,
    /// The time of the last change.
    pub updated_ts: Millis,
}

impl View {
    fn of(tx: &ReadTx<'_>, batch: Batch) -> Result<Self, DbError> {
        let job = of(tx, &batch)?;
        let spec = spec(&batch)?;
        let progress = JOB.progress(&job)?;
        // The last step stores its result in place of its progress.
        let counts = JOB.outcome(&job)?.unwrap_or(progress.counts);
        Ok(Self {
            act: spec.act,
            filter: spec.filter,
            state: job.state,
            done: job.units.done,
            total: batch.total,
            counts,
            error: job.error,
            updated_ts: job.updated_ts,
            batch,
        })
    }
}

fn spec(batch: &Batch) -> Result<Spec, DbError> {
    Spec::of(batch)
        .map_err(|error| DbError::Internal(format!("the order of a batch cannot be read: {error}")))
}

/// Returns the job of a batch, which is kept as long as the batch.
fn of(tx: &ReadTx<'_>, batch: &Batch) -> Result<Job, DbError> {
    JOB.newest(tx, &batch.id)?.ok_or(DbError::NoRow)
}

/// Returns the batch of an id.
pub fn find(tx: &ReadTx<'_>, id: &str) -> Result<View, Error> {
    let batch = batches::find(tx, id)?.ok_or(Error::NotFound)?;
    Ok(View::of(tx, batch)?)
}

/// Returns the batch of an id, whose outcomes the actor wants to see. The actor needs the scope of the act.
pub fn find_outcomes(tx: &ReadTx<'_>, ctx: &Ctx, id: &str) -> Result<View, Error> {
    let view = find(tx, id)?;
    rights::check_holds(ctx, view.act.scope())?;
    Ok(view)
}

/// Returns batches ordered before a position (time and id), the newest first.
pub fn list(tx: &ReadTx<'_>, before: &SortKey<String>, limit: i64) -> Result<Vec<View>, DbError> {
    batches::list(tx, before, limit)?.into_iter().map(|batch| View::of(tx, batch)).collect()
}

/// A change of the state of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Pause,
    Resume,
    Cancel,
}

fn change(tx: &mut Tx<'_>, ctx: &Ctx, id: &str, change: Change) -> Result<View, Error> {
    let batch = batches::find(tx, id)?.ok_or(Error::NotFound)?;
    let spec = spec(&batch)?;
    rights::check_holds(ctx, spec.act.scope())?;
    if change == Change::Resume {
        rights::check_grant(ctx, spec.scopes)?;
    }
    let job = of(tx, &batch)?;
    let (is_changed, action) = match change {
        Change::Pause => (JOB.pause(tx, &job, ctx.now)?, "batch.pause"),
        Change::Resume => (JOB.resume(tx, &job, ctx.now)?, "batch.resume"),
        Change::Cancel => (JOB.cancel(tx, &job, ctx.now)?, "batch.cancel"),
    };
    if !is_changed {
        return Err(Error::WrongState(job.state));
    }
    audit::record(tx, ctx, action, id, &json!({ "done": job.units.done }))?;
    Ok(View::of(tx, batch)?)
}

/// Lets a batch rest after its present step. The actor needs the scope of the act.
pub fn pause(tx: &mut Tx<'_>, ctx: &Ctx, id: &str) -> Result<View, Error> {
    change(tx, ctx, id, Change::Pause)
}

/// Lets a paused batch continue, with the rights of its requester. The actor needs every scope that the requester had.
pub fn resume(tx: &mut Tx<'_>, ctx: &Ctx, id: &str) -> Result<View, Error> {
    change(tx, ctx, id, Change::Resume)
}

/// Ends a batch after its present step. The actor needs the scope of the act.
pub fn cancel(tx: &mut Tx<'_>, ctx: &Ctx, id: &str) -> Result<View, Error> {
    change(tx, ctx, id, Change::Cancel)
}

/// Deletes batches that are over and were ordered before a time, and confirmations that have expired.
pub async fn prune(db: &Db, before: Millis, now: Millis) -> Result<(), DbError> {
    db.write(move |tx| batches::prune_confirmations(tx, now)).await?;
    let mut after = SortKey::at(Millis::ZERO);
    loop {
        let from = after.clone();
        let batch = db.read(move |tx| batches::oldest(tx, before, &from)).await?;
        let Some(batch) = batch else { return Ok(()) };
        after = batch.sort_key();
        let batch = Arc::new(batch);
        loop {
            let batch = Arc::clone(&batch);
            if db.write(move |tx| delete_some(tx, &batch)).await? {
                break;
            }
        }
    }
}

/// Deletes a part of a batch that is over; returns true when nothing is left to do.
fn delete_some(tx: &mut Tx<'_>, batch: &Batch) -> Result<bool, DbError> {
    let job = JOB.newest(tx, &batch.id)?;
    if job.as_ref().is_some_and(|job| !job.state.is_over()) {
        return Ok(true);
    }
    let is_gone = batches::delete_some(tx, batch.num, PRUNE_AT_ONCE)?;
    if let Some(job) = job.filter(|_| is_gone) {
        jobs::delete(tx, &job.id)?;
    }
    Ok(is_gone)
}
