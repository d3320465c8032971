//! The common part of what is in the bin.

use reeve_db::{DbError, Row};
use reeve_model::{Actor, ActorKind, Ctx, Millis};

/// The actor for the server itself, which deletes without being told to.
const SERVER: &str = "server";

/// How something came into the bin, and until when it waits there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binned {
    /// The time of the deletion.
    pub deleted_ts: Millis,
    /// The kind of the actor who deleted it.
    pub deleted_by_kind: ActorKind,
    /// The id of that actor among those of the kind.
    pub deleted_by: String,
    /// The time from which it is deleted for good.
    pub purge_ts: Millis,
}

impl Binned {
    /// Returns the deletion by the actor of a context, after which something waits for `bin_ms` milliseconds.
    pub fn by(ctx: &Ctx, bin_ms: i64) -> Self {
        let actor = ctx.actor.as_ref();
        Self {
            deleted_ts: ctx.now,
            deleted_by_kind: actor.map_or(ActorKind::Server, Actor::kind),
            deleted_by: actor.map_or(SERVER, Actor::id).to_owned(),
            purge_ts: ctx.now.plus(bin_ms),
        }
    }

    /// Reads the columns `deleted_ts`, `deleted_by_kind`, `deleted_by` and `purge_ts`, of which the first is at `at`.
    pub(crate) fn from_row(row: &Row<'_>, at: usize) -> Result<Self, DbError> {
        Ok(Self {
            deleted_ts: row.get(at)?,
            deleted_by_kind: row.get(at + 1)?,
            deleted_by: row.get(at + 2)?,
            purge_ts: row.get(at + 3)?,
        })
    }
}
