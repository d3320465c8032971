//! Entries of the audit log. What webhooks are to be told has its own rows.

use reeve_db::Tx;
use reeve_jobs::StepError;
use reeve_model::Millis;
use reeve_store::audit;

use crate::run::{Counts, Part, Run};

/// The number of entries that one step deletes.
const STEP: i64 = 500;

/// Deletes entries, the oldest first.
pub(crate) fn step(tx: &mut Tx<'_>, run: &Run<'_>, from: Option<Millis>) -> Result<Part<Millis>, StepError> {
    let (from, most) = (from.unwrap_or_default(), run.at_once(STEP));
    let (deleted, next) = if run.dry_run {
        let part = audit::count_old(tx, from, run.before, most)?;
        (part.count, part.next)
    } else {
        let deleted = i64::try_from(audit::delete_old(tx, run.before, most)?).unwrap_or(most);
        (deleted, (deleted >= most).then_some(from))
    };
    Ok(Part { counts: Counts { deleted, kept: 0 }, next })
}
