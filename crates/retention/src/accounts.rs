//! Guests that were not seen, and accounts that were never used.

use reeve_accounts::{Error, deactivate};
use reeve_db::{DbError, ReadTx, Tx};
use reeve_jobs::StepError;
use reeve_model::{Membership, User};
use reeve_store::users::{self, AgePlace};
use reeve_store::{audit, devices, external_ids, memberships};

use crate::run::{Counts, Part, Run};

/// The number of accounts that one step deactivates.
const STEP: i64 = 20;

/// The accounts that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Guests.
    Guests,
    /// Accounts that were never used.
    Unused,
}

/// Returns the failure of a step for a refusal of a deed on accounts.
pub(crate) fn failed(error: Error) -> StepError {
    match error {
        Error::Db(error) => StepError::Db(error),
        other => StepError::Hopeless(other.to_string()),
    }
}

/// Deactivates accounts. Those with a role are kept. Each is in the audit log, as an act of this job.
pub(crate) fn step(
    tx: &mut Tx<'_>,
    run: &Run<'_>,
    who: Who,
    after: Option<AgePlace>,
) -> Result<Part<AgePlace>, StepError> {
    let (most, after) = (run.at_once(STEP), after.unwrap_or_default());
    let page = match who {
        Who::Guests => users::old_guests(tx, run.before, after, most)?,
        Who::Unused => users::never_seen(tx, run.before, after, most)?,
    };
    let is_full = i64::try_from(page.len()).is_ok_and(|length| length == most);
    let next = page.last().copied().filter(|_| is_full);
    let mut counts = Counts::default();
    let ctx = run.as_job();
    for place in page {
        let Some(user) = users::by_num(tx, place.num)? else { continue };
        if (who == Who::Unused && is_used(tx, run, &user)?) || was_dealt_with(tx, run, &user)? {
            continue;
        }
        if user.role().is_some() {
            counts.kept += 1;
            continue;
        }
        if !run.dry_run {
            deactivate::deactivate(tx, &ctx, run.policy, &user, false).map_err(failed)?;
        }
        counts.deleted += 1;
    }
    Ok(Part { counts, next })
}

/// Returns true if an account that was never seen is used all the same: it has a device, is in a room (as a bot whose
/// requests are made by others), is known to an identity provider, or is one of the server itself.
fn is_used(tx: &ReadTx<'_>, run: &Run<'_>, user: &User) -> Result<bool, DbError> {
    Ok(run.policy.is_of_server(user)
        || devices::count_of_user(tx, user.num, 1)? > 0
        || memberships::count_of_user_in(tx, &user.user_id, Membership::Join)? > 0
        || !external_ids::of_user(tx, user.num)?.is_empty())
}

/// Returns true if an administrator dealt with an account since the time before which it is old, for example restored it.
fn was_dealt_with(tx: &ReadTx<'_>, run: &Run<'_>, user: &User) -> Result<bool, DbError> {
    let last = audit::last_on(tx, &[user.user_id.as_str()])?;
    Ok(last.get(&user.user_id).is_some_and(|ts| *ts >= run.before))
}
