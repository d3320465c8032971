//! The log of quarantines and releases, in order.

use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use reeve_model::Scope;
use reeve_store::media;
use serde::Serialize;
use utoipa::ToSchema;

/// Maximum number of changes in a response.
const MAX: i64 = 100;

/// Changes after a position.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changes {
    /// The `from` of the next request.
    next_batch: i64,
    /// The oldest first.
    changes: Vec<Change>,
}

/// One quarantine or release.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    /// The server of the upload.
    origin: String,
    media_id: String,
    /// True if the upload is quarantined from then on.
    quarantined: bool,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/media/quarantine_changes", handle)
        .access(Access::Admin(Scope::MediaRead))
        .id("listQuarantineChanges")
        .summary("Lists quarantines and releases in order")
        .query([Param::integer(
            "from",
            "the position after which to begin; 0 by default, before all changes",
        )])
        .returns::<Changes>(200)
        .errors(&[(400, "M_INVALID_PARAM", "`from` is not a position that this server returned")])
}

fn handle(call: &Reading<'_>) -> Answer {
    let from = call.query.integer("from")?.unwrap_or(0);
    if from > media::newest_quarantine_change(call.tx)? {
        return Err(MatrixError::invalid_param("Query parameter from is in the future."));
    }
    let changes = media::quarantine_changes(call.tx, from, MAX)?;
    let next_batch = changes.last().map_or(from, |last| last.pos);
    let origin = call.app.server_name.to_string();
    let changes = changes.into_iter().map(|change| Change {
        origin: origin.clone(),
        media_id: change.media_id,
        quarantined: change.quarantined,
    });
    reply::ok(&Changes { next_batch, changes: changes.collect() })
}
