//! The job of a batch: it does the act on one of the selected accounts after the other.

use std::sync::Arc;
use std::time::Instant;

use reeve_db::{DbError, Tx};
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::clock::monotonic;
use reeve_model::{BatchOutcome, Ctx, MatrixError, Millis, UserNum};
use reeve_store::batches::{self, Batch};
use reeve_store::users;
use serde::{Deserialize, Serialize};

use crate::act::{Bounds, Did, Means, Rest};
use crate::spec::Spec;

/// The job. Its subject is the id of the batch.
pub(crate) const JOB: JobKind<(), Progress, Counts> = JobKind::new("users_batch");
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
    Run { means, batch: &batch, spec: &spec, ctx: &ctx }.act(tx, progress, done)
}

/// The part of its bounds that a step has used.
struct Used {
    bounds: Bounds,
    since: Instant,
    accounts: usize,
}

impl Used {
    fn none_of(bounds: Bounds) -> Self {
        Self { bounds, since: monotonic(), accounts: 0 }
    }

    /// Returns true if one more account can be begun. The first one always can, so that each step gets on.
    fn has_room(&mut self) -> bool {
        let Bounds { accounts, time } = self.bounds;
        let has_room = self.accounts == 0 || (self.accounts < accounts && self.since.elapsed() < time);
        self.accounts += usize::from(has_room);
        has_room
    }
}

/// Returns the context of the acts: of the requester, with the scopes that it holds now and held at the order.
fn context(tx: &Tx<'_>, means: &Means, batch: &Batch, spec: &Spec, now: Millis) -> Result<Ctx, StepError> {
    let scopes = match spec.requester.scopes(tx, &means.policy, now)? {
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
    /// Does the act on some accounts.
    fn act(
        &self,
        tx: &mut Tx<'_>,
        mut progress: Progress,
        mut done: i64,
    ) -> Result<Step<Progress, Counts>, StepError> {
        let mut nums = batches::part(tx, self.batch.num, progress.part)?;
        let mut used = Used::none_of(self.spec.act.bounds());
        while used.has_room() {
            while nums.as_ref().is_some_and(|nums| progress.at >= nums.len()) {
                (progress.part, progress.at) = (progress.part + 1, 0);
                nums = batches::part(tx, self.batch.num, progress.part)?;
            }
            let Some(num) = nums.as_ref().and_then(|nums| nums.get(progress.at)).copied() else {
                if done < self.batch.total {
                    return Err(StepError::Hopeless("the selection is not complete".to_owned()));
                }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bounds, Used};

    fn steps(accounts: usize, time: Duration) -> usize {
        let mut used = Used::none_of(Bounds { accounts, time });
        std::iter::from_fn(|| used.has_room().then_some(())).count()
    }

    #[test]
    fn a_step_ends_by_time_and_by_number() {
        assert_eq!(steps(7, Duration::from_hours(1)), 7);
        // A slow act gets on, too.
        assert_eq!(steps(7, Duration::ZERO), 1);
    }
}
