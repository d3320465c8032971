//! Purging of the old history of a room.

use reeve_app::json::truthy;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{JobState, Millis, Scope};
use reeve_rooms::purge::{self, UpTo};
use serde::Serialize;
use utoipa::ToSchema;

body! {
    /// The range to purge.
    pub(crate) struct HistoryBefore {
        /// The first event to keep.
        purge_up_to_event_id: Option<String>,
        /// A time in milliseconds. The last event until then is kept; if there is none, nothing is purged.
        purge_up_to_ts?: i64,
        /// True to delete events of users of this server, too; else they only leave the timeline.
        delete_local_events: Option<bool>,
    }
}

/// The queued purge.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderedPurge {
    purge_id: String,
}

/// The status of the purge.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Purging {
    /// `active` from the beginning, then `complete` or `failed`.
    status: String,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn order(id: &'static str, path: &str) -> Route {
    Route::post(path, handle)
        .access(Access::Admin(Scope::RoomsWrite))
        .id(id)
        .summary("Purges all of a room's history before an event or a time")
        .description(
            "It disappears from all timelines at once; a durable job then deletes it. The current state of the room, \
             such as its name and its members, stays.",
        )
        .may_take::<HistoryBefore>()
        .returns::<OrderedPurge>(200)
        .errors(&[
            (400, "M_BAD_JSON", "the end of the range is missing, or a value has the wrong type"),
            (400, "M_UNKNOWN", "the event is in another room"),
            (404, "M_NOT_FOUND", "there is no such event or room"),
        ])
}

pub(crate) fn by_body() -> Route {
    order("purgeHistory", "/_synapse/admin/v1/purge_history/{room_id}")
}

pub(crate) fn by_path() -> Route {
    order("purgeHistoryBeforeEvent", "/_synapse/admin/v1/purge_history/{room_id}/{event_id}")
}

pub(crate) fn status() -> Route {
    Route::get("/_synapse/admin/v1/purge_history_status/{purge_id}", handle_status)
        .access(Access::Admin(Scope::RoomsRead))
        .id("getPurgeHistoryStatus")
        .summary("Returns the status of a purge")
        .returns::<Purging>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such purge, or it ended long ago")])
}

fn upto(path_event: String, body: &HistoryBefore) -> Result<UpTo, MatrixError> {
    if !path_event.is_empty() {
        return Ok(UpTo::Event(path_event));
    }
    let not_text = |name| MatrixError::bad_json(format!("{name} must be a string"));
    if let Some(event_id) = body.purge_up_to_event_id.read_or(not_text)? {
        return Ok(UpTo::Event(event_id));
    }
    let ts = body.purge_up_to_ts.read_or(|name| MatrixError::bad_json(format!("{name} must be an int")))?;
    ts.map(|ts| UpTo::Time(Millis::new(ts)))
        .ok_or_else(|| MatrixError::bad_json("must specify purge_up_to_event_id or purge_up_to_ts"))
}

async fn handle(mut call: Call) -> Answer {
    let (room_id, event_id) = (call.param("room_id"), call.param("event_id"));
    let body: HistoryBefore = call.take().await?;
    let delete_local = body.delete_local_events.value().is_some_and(truthy);
    let upto = upto(event_id, &body)?;
    let ctx = call.admin_ctx()?;
    let purge_id = call.write(move |tx| purge::order(tx, &ctx, &room_id, &upto, delete_local)).await?;
    reply::ok(&OrderedPurge { purge_id })
}

async fn handle_status(call: Call) -> Answer {
    let id = call.param("purge_id");
    let wanted = id.clone();
    let job = call.read(move |tx| purge::JOB.find(tx, &wanted)).await?;
    let job = job.ok_or_else(|| MatrixError::not_found(format!("purge id '{id}' not found")))?;
    let error = job.error.filter(|_| job.state == JobState::Failed);
    let status = if job.state == JobState::Scheduled { JobState::Active } else { job.state }.to_string();
    reply::ok(&Purging { status, error })
}
