//! A run as its parts see it.

use std::sync::Arc;

use reeve_accounts::Policy;
use reeve_model::{Actor, Ctx, Millis};
use serde::{Deserialize, Serialize};

/// The name of the job.
pub(crate) const NAME: &str = "retention";

/// The numbers of things that were old enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Counts {
    /// Those that were deleted, or would be.
    pub(crate) deleted: i64,
    /// Those that are protected.
    pub(crate) kept: i64,
}

/// A part of a walk.
pub(crate) struct Part<Place> {
    pub(crate) counts: Counts,
    /// The place of the next part; `None` at the end.
    pub(crate) next: Option<Place>,
}

/// The facts of a run.
#[expect(clippy::struct_field_names, reason = "a dry run is what the API calls it")]
pub(crate) struct Run<'a> {
    pub(crate) before: Millis,
    pub(crate) dry_run: bool,
    /// The context of deeds on single things. It has no actor, so that the audit log has the run as a whole instead.
    pub(crate) ctx: Ctx,
    pub(crate) policy: &'a Policy,
}

impl Run<'_> {
    /// Returns the number of things in one step: looking costs less than deleting.
    pub(crate) fn at_once(&self, deleted: i64) -> i64 {
        const LOOKED_AT: i64 = 500;
        if self.dry_run { LOOKED_AT } else { deleted }
    }

    /// Returns the context in which this job is the actor, for what is in the audit log.
    pub(crate) fn as_job(&self) -> Ctx {
        Ctx { actor: Some(Actor::Job(Arc::from(NAME))), ..self.ctx.clone() }
    }
}
