//! What was quarantined and released, in order.

use reeve_http::{Answer, MatrixError, Param, Reading, Route, reply};
use reeve_store::media;
use serde::Serialize;
use utoipa::ToSchema;

/// How many changes one answer has at most.
const MOST: i64 = 100;

/// Changes after a position.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changes {
    /// What to send as `from` to go on.
    next_batch: i64,
    /// The oldest first.
    changes: Vec<Change>,
}

/// Something was quarantined, or released.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    /// The server it is of.
    origin: String,
    media_id: String,
    /// Whether it is quarantined from then on.
    quarantined: bool,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/media/quarantine_changes", handle)
        .id("listQuarantineChanges")
        .summary("Lists what was quarantined and released")
        .query([Param::integer("from", "The position to go on from; 0, before everything, by default")])
        .returns::<Changes>(200)
        .errors(&[(400, "M_INVALID_PARAM", "`from` is no position that this server gave out")])
}

fn handle(call: &Reading<'_>) -> Answer {
    let from = call.query.integer("from")?.unwrap_or(0);
    if from > media::newest_quarantine_change(call.tx)? {
        return Err(MatrixError::invalid_param("Query parameter from is in the future."));
    }
    let changes = media::quarantine_changes(call.tx, from, MOST)?;
    let next_batch = changes.last().map_or(from, |last| last.pos);
    let origin = call.app.server_name.to_string();
    let changes = changes.into_iter().map(|change| Change {
        origin: origin.clone(),
        media_id: change.media_id,
        quarantined: change.quarantined,
    });
    reply::ok(&Changes { next_batch, changes: changes.collect() })
}
