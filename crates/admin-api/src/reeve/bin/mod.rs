//! The bin: media and rooms that administrators deleted, until they are deleted for good or brought back.

mod media;
mod rooms;

use reeve_app::Route;
use reeve_model::ActorKind;
use reeve_store::Binned;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) fn routes() -> Vec<Route> {
    [media::routes(), rooms::routes()].into_iter().flatten().collect()
}

const BAD_PAGE: (u16, &str, &str) =
    (400, "M_INVALID_PARAM", "`limit` is malformed, or `from` is not a `next_token` of this list");

/// The deletion of something that is in the bin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BinnedView {
    /// When it was deleted, in milliseconds.
    deleted_ts: i64,
    /// The kind of the actor who deleted it.
    #[schema(value_type = String, example = "user")]
    deleted_by_kind: ActorKind,
    /// The id of the actor among those of its kind, as in the audit log: for `user`, the user id.
    #[schema(example = "@admin:example.org")]
    deleted_by: String,
    /// The time from which it is deleted for good, in milliseconds.
    purge_ts: i64,
}

impl From<Binned> for BinnedView {
    fn from(binned: Binned) -> Self {
        Self {
            deleted_ts: binned.deleted_ts.get(),
            deleted_by_kind: binned.deleted_by_kind,
            deleted_by: binned.deleted_by,
            purge_ts: binned.purge_ts.get(),
        }
    }
}

/// The job that does what was ordered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BinJob {
    /// The id of the job, as in `GET /_reeve/admin/v1/jobs/{id}`.
    job: String,
}
