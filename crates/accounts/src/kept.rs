//! The data that is kept of deactivated accounts, so that they can be restored for a while.
//!
//! A deactivation moves what it removes into tables that nothing else reads, in the same transaction or step. When the time is over,
//! or the account is restored or erased, it counts as gone at once; a durable job, which housekeeping queues within a second, deletes
//! the rows in short steps. A restoration that began in time has time to finish.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{Ctx, KeptNum, Millis, User};
use reeve_store::{kept, key_backups, validity};
use serde::Serialize;

use crate::error::Error;
use crate::policy::Policy;
use crate::restore;

/// The job that deletes what is kept no longer, of all accounts.
pub const PURGE_JOB: JobKind<(), (), Purged> = JobKind::new("purge_kept");
/// The subject of the job.
const SUBJECT: &str = "kept_accounts";
/// The number of rows of each table that one step deletes.
const STEP_ROWS: i64 = 500;
/// Maximum number of deactivations of one account of which something is kept.
const MAX_KEPT: usize = 10;

/// The result of the job, which is empty.
#[derive(Debug, Serialize)]
pub struct Purged {}

/// Begins to keep what an active account loses by its deactivation, unless the settings say otherwise. Must be called before
/// the rows are deleted.
pub(crate) fn begin(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, user: &User) -> Result<(), Error> {
    if policy.keep_deactivated_ms <= 0 {
        return Ok(());
    }
    let purge_ts = ctx.now.plus(policy.keep_deactivated_ms);
    let validity = validity::find(tx, &user.user_id)?;
    let num = kept::insert(tx, user.num, validity, ctx.now, purge_ts)?;
    kept::keep_threepids(tx, num, user.num)?;
    key_backups::keep_of_user(tx, user.num, num)?;
    Ok(bound(tx, user, num, ctx.now)?)
}

/// Drops the deactivations of which the least is kept, the oldest of equal ones first, while there are too many. What was kept right
/// after a restoration, or soon after another deactivation, is little: all that matters may be in an older one. `present` stays, since
/// rooms and account data are yet to come.
fn bound(tx: &mut Tx<'_>, user: &User, present: KeptNum, now: Millis) -> Result<(), DbError> {
    let all = kept::of_user(tx, user.num, now)?;
    let excess = all.len().saturating_sub(MAX_KEPT);
    if excess == 0 {
        return Ok(());
    }
    let mut sizes = Vec::with_capacity(all.len());
    for one in all.iter().filter(|one| one.num != present) {
        let kept::Counts { threepids, memberships, account_data } = kept::counts(tx, one.num)?;
        let backups = key_backups::kept(tx, user.num, one.num)?;
        sizes.push((threepids + memberships + account_data + backups.keys, one.num));
    }
    sizes.sort_unstable();
    for (_, num) in sizes.into_iter().take(excess) {
        kept::expire(tx, num)?;
    }
    Ok(())
}

/// Keeps nothing of an account any longer.
pub(crate) fn drop_all(tx: &mut Tx<'_>, ctx: &Ctx, user: &User) -> Result<(), DbError> {
    for one in kept::of_user(tx, user.num, ctx.now)? {
        kept::expire(tx, one.num)?;
    }
    Ok(())
}

/// Returns true if the time of something is over, and no job deletes it yet.
pub fn is_purge_due(tx: &ReadTx<'_>, now: Millis) -> Result<bool, DbError> {
    Ok(kept::due(tx, now, restore::JOB.name())?.is_some() && !PURGE_JOB.is_unfinished(tx, SUBJECT)?)
}

/// Queues the job, unless one waits or runs. Only housekeeping does, so that the deeds by which something ends do not meet in
/// the row of the job.
pub fn order_purge(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    PURGE_JOB.enqueue_once(tx, SUBJECT, &(), 0, now).map(drop)
}

/// Returns the job.
pub fn purge_job() -> Kind {
    PURGE_JOB.with_step(purge_step)
}

/// Deletes a part of what is kept although its time is over.
fn purge_step(tx: &mut Tx<'_>, work: Work<'_, (), ()>) -> Result<Step<(), Purged>, StepError> {
    let Work { done, now, .. } = work;
    let Some((num, user_num)) = kept::due(tx, now, restore::JOB.name())? else {
        return Ok(Step::Done { result: Purged {}, done });
    };
    // An order whose clock is a little behind must not find the rest of it.
    kept::expire(tx, num)?;
    kept::delete_threepids(tx, num)?;
    key_backups::delete_kept(tx, user_num, num)?;
    let data = kept::delete_some_data(tx, num, STEP_ROWS)?;
    let memberships = kept::delete_some_memberships(tx, num, STEP_ROWS)?;
    let more_keys = key_backups::clear_of_user(tx, user_num, STEP_ROWS)?;
    if data > 0 || memberships > 0 || more_keys {
        return Ok(Step::More { progress: (), done });
    }
    kept::delete(tx, num)?;
    Ok(Step::More { progress: (), done: done.saturating_add(1) })
}
