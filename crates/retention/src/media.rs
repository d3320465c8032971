//! Uploads, and pictures of previews, that were not used.

use reeve_db::Tx;
use reeve_jobs::StepError;
use reeve_media::{Error, deeds, unused};
use reeve_store::media::{Unused, UnusedKind, UnusedPlace};

use crate::run::{Counts, Part, Run};

/// The number of uploads that one step deletes.
const STEP: i64 = 100;

/// Deletes uploads. Their bytes are deleted by the next sweep of the store.
pub(crate) fn step(
    tx: &mut Tx<'_>,
    run: &Run<'_>,
    kind: UnusedKind,
    after: Option<UnusedPlace>,
) -> Result<Part<UnusedPlace>, StepError> {
    let old = Unused { kind, before_ts: run.before, size_gt: -1 };
    let part = unused::walk(tx, &run.ctx.server_name, old, false, after, run.at_once(STEP))?;
    let mut counts = Counts { deleted: 0, kept: i64::try_from(part.avatars).unwrap_or(0) };
    for media in &part.unused {
        if run.dry_run || deeds::delete(tx, &run.ctx, media).map_err(failed)? {
            counts.deleted += 1;
        }
    }
    Ok(Part { counts, next: part.next })
}

fn failed(error: Error) -> StepError {
    match error {
        Error::Db(error) => StepError::Db(error),
        other => StepError::Hopeless(other.to_string()),
    }
}
