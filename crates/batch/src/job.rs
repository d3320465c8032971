//! The job of a batch: it stores the selected accounts, and then does the act on one after the other.

use std::sync::Arc;

use reeve_db::{DbError, Tx};
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{BatchOutcome, Ctx, MatrixError, Millis, UserNum};
use reeve_store::batches::{self, Batch};
use reeve_store::users;
use serde::{Deserialize, Serialize};

use crate::act::{Did, Means, Rest};
use crate::error::Error;
use crate::selection::{self, Filter};
use crate::spec::Spec;

/// The job. Its subject is the id of the batch.
pub(crate) const JOB: JobKind<(), Progress, Counts> = JobKind::new("users_batch");
/// Number of accounts in a part of the stored selection.
pub(crate) const PART: usize = 500;
/// The status of refusals for want of rights.
const FORBIDDEN: u16 = 403;

/// The numbers of accounts by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Counts {
    /// The act was done.
    pub done: i64,
    /// Nothing had to be done.
    pub unchanged: i64,
    /// The requester might not do it.
    pub refused: i64,
    /// It was not possible.
    pub failed: i64,
    /// The account was protected.
    pub skipped: i64,
}

impl Counts {
    fn add(&mut self, outcome: BatchOutcome) {
        *match outcome {
            BatchOutcome::Done => &mut self.done,
            BatchOutcome::Unchanged => &mut self.unchanged,
            BatchOutcome::Refused => &mut self.refused,
            BatchOutcome::Failed => &mut self.failed,
            BatchOutcome::Skipped => &mut self.skipped,
        } += 1;
    }
}

/// The progress of the job.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Progress {
    /// The last account number that the walk over the selection has looked at.
    walked: UserNum,
    /// The number of stored parts, until the selection is complete.
    parts: i64,
    /// The number of selected accounts, once it is complete.
    pub(crate) selected: Option<i64>,
    /// The number of accounts that were stored so far.
    stored: i64,
    /// The part of the next account, and its place in the part.
    part: i64,
    at: usize,
    /// The part of the act on the next account that is done.
    rest: Rest,
    /// The outcomes so far.
    pub(crate) counts: Counts,
}

/// Returns the job.
pub fn job(means: Means) -> Kind {
    JOB.with_step(move |tx, work| step(tx, &means, work))
}

/// The end of an act on one account in one transaction.
enum Acted {
    /// The account is done with.
    Ended {
        outcome: BatchOutcome,
        /// The reason of a refusal or failure.
        reason: Option<String>,
    },
    /// A part is left.
    Part(Rest),
}

impl Acted {
    fn ended(outcome: BatchOutcome, reason: impl Into<Option<String>>) -> Self {
        Self::Ended { outcome, reason: reason.into() }
    }
}

fn step(
    tx: &mut Tx<'_>,
    means: &Means,
    work: Work<'_, (), Progress>,
) -> Result<Step<Progress, Counts>, StepError> {
    let Work { subject, progress, done, now, .. } = work;
    let gone = || StepError::Hopeless("the batch was deleted".to_owned());
    let batch = batches::find(tx, subject)?.ok_or_else(gone)?;
    let spec = Spec::of(&batch)
        .map_err(|error| StepError::Hopeless(format!("the order cannot be read: {error}")))?;
    let ctx = context(tx, means, &batch, &spec, now)?;
    let run = Run { means, batch: &batch, spec: &spec, ctx: &ctx };
    match (&spec.filter, progress.selected) {
        (Some(filter), None) => run.select(tx, filter, progress),
        (None, _) | (Some(_), Some(_)) => run.act(tx, progress, done),
    }
}

/// Returns the context of the acts: of the requester, with the scopes that it holds now and held at the order.
fn context(tx: &Tx<'_>, means: &Means, batch: &Batch, spec: &Spec, now: Millis) -> Result<Ctx, StepError> {
    let scopes = match spec.requester.scopes(tx, now)? {
        Ok(scopes) => scopes.and(spec.scopes),
        Err(gone) => return Err(StepError::Hopeless(gone.to_owned())),
    };
    let needed = spec.act.scope();
    if !scopes.contains(needed) {
        return Err(StepError::Hopeless(format!("the requester does not hold the scope {needed} any more")));
    }
    Ok(Ctx {
        now,
        server_name: Arc::clone(&means.home.server_name),
        request_id: Arc::from(batch.id.as_str()),
        ip: None,
        actor: Some(spec.requester.actor()),
        scopes,
    })
}

/// A step of a batch.
struct Run<'a> {
    means: &'a Means,
    batch: &'a Batch,
    spec: &'a Spec,
    ctx: &'a Ctx,
}

impl Run<'_> {
    /// Stores some of the accounts that the filter accepts.
    fn select(
        &self,
        tx: &mut Tx<'_>,
        filter: &Filter,
        mut progress: Progress,
    ) -> Result<Step<Progress, Counts>, StepError> {
        let walked = selection::walk(tx, self.ctx, filter, progress.walked)?;
        for nums in walked.nums.chunks(PART) {
            batches::insert_part(tx, self.batch.num, progress.parts, nums)?;
            progress.parts += 1;
            progress.stored += i64::try_from(nums.len()).unwrap_or(i64::MAX);
        }
        if progress.stored > self.spec.shown {
            let grown = Error::Grown { shown: self.spec.shown, now: progress.stored };
            return Err(StepError::Hopeless(grown.to_string()));
        }
        match walked.upto {
            Some(upto) => progress.walked = upto,
            None => progress.selected = Some(progress.stored),
        }
        Ok(Step::More { progress, done: 0 })
    }

    /// Does the act on some accounts.
    fn act(
        &self,
        tx: &mut Tx<'_>,
        mut progress: Progress,
        mut done: i64,
    ) -> Result<Step<Progress, Counts>, StepError> {
        let mut nums = batches::part(tx, self.batch.num, progress.part)?;
        for _ in 0..self.spec.act.at_once() {
            while nums.as_ref().is_some_and(|nums| progress.at >= nums.len()) {
                (progress.part, progress.at) = (progress.part + 1, 0);
                nums = batches::part(tx, self.batch.num, progress.part)?;
            }
            let Some(num) = nums.as_ref().and_then(|nums| nums.get(progress.at)).copied() else {
                return Ok(Step::Done { result: progress.counts, done });
            };
            match self.act_on(tx, num, std::mem::take(&mut progress.rest))? {
                Acted::Ended { outcome, reason } => {
                    batches::insert_outcome(tx, self.batch.num, done, num, outcome, reason.as_deref())?;
                    progress.counts.add(outcome);
                    progress.at += 1;
                    done += 1;
                }
                Acted::Part(rest) => progress.rest = rest,
            }
        }
        Ok(Step::More { progress, done })
    }

    /// Does the act on an account, or the next part of it.
    fn act_on(&self, tx: &mut Tx<'_>, num: UserNum, rest: Rest) -> Result<Acted, DbError> {
        let Some(user) = users::by_num(tx, num)? else {
            return Ok(Acted::ended(BatchOutcome::Failed, "User not found".to_owned()));
        };
        let is_protected = user.admin || self.ctx.is_by(&user.user_id);
        if is_protected && !self.spec.include.contains(&user.user_id) {
            return Ok(Acted::ended(BatchOutcome::Skipped, "The account is protected".to_owned()));
        }
        Ok(match tx.attempt(|tx| self.spec.act.apply(tx, self.means, self.ctx, &user, rest)) {
            Ok(Did::Done) => Acted::ended(BatchOutcome::Done, None),
            Ok(Did::Nothing) => Acted::ended(BatchOutcome::Unchanged, None),
            Ok(Did::Part(rest)) => Acted::Part(rest),
            Err(error) => {
                let error = MatrixError::from(error.not_of_database()?);
                let outcome =
                    if error.status == FORBIDDEN { BatchOutcome::Refused } else { BatchOutcome::Failed };
                Acted::ended(outcome, error.error.into_owned())
            }
        })
    }
}
