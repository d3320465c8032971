//! Status of room deletions.

use reeve_app::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_jobs::Job;
use reeve_model::{JobState, Millis, Scope};
use reeve_rooms::deletion;
use reeve_store::SortKey;
use reeve_store::jobs::{self, Filter};
use serde::Serialize;
use utoipa::ToSchema;

use super::delete::{DeletedRoom, deleted};
use super::room_id;

/// Maximum number of deletions of one room in a response.
const MAX: i64 = 1000;

/// The status of a deletion.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deletion {
    delete_id: String,
    room_id: String,
    /// `scheduled`, `active`, `complete` or `failed`.
    status: String,
    /// The result; null until the deletion is complete.
    #[schema(required)]
    shutdown_room: Option<DeletedRoom>,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The deletions of a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deletions {
    /// The oldest first.
    results: Vec<Deletion>,
}

pub(crate) fn of_deletion() -> Route {
    Route::get("/_synapse/admin/v2/rooms/delete_status/{delete_id}", handle_deletion)
        .access(Access::Admin(Scope::RoomsRead))
        .id("getRoomDeletion")
        .summary("Returns the status of a deletion")
        .returns::<Deletion>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such deletion, or it ended long ago")])
}

pub(crate) fn of_room() -> Route {
    Route::get("/_synapse/admin/v2/rooms/{room_id}/delete_status", handle_room)
        .access(Access::Admin(Scope::RoomsRead))
        .id("listRoomDeletions")
        .summary("Returns the status of all deletions of a room")
        .returns::<Deletions>(200)
        .errors(&[
            (400, "M_UNKNOWN", "the room id is malformed"),
            (404, "M_NOT_FOUND", "the room was not deleted recently"),
        ])
}

fn status(job: Job) -> Result<Deletion, MatrixError> {
    Ok(Deletion {
        shutdown_room: deleted(&job)?,
        error: job.error.filter(|_| job.state == JobState::Failed),
        delete_id: job.id,
        room_id: job.subject,
        status: job.state.to_string(),
    })
}

async fn handle_deletion(call: Call) -> Answer {
    let id = call.param("delete_id");
    let wanted = id.clone();
    let job = call.read(move |tx| deletion::JOB.find(tx, &wanted)).await?;
    let job = job.ok_or_else(|| MatrixError::not_found(format!("delete id '{id}' not found")))?;
    reply::ok(&status(job)?)
}

async fn handle_room(call: Call) -> Answer {
    let room_id = room_id(&call)?;
    let filter =
        Filter { subject: room_id.clone(), kind: deletion::JOB.name().to_owned(), ..Filter::default() };
    let mut jobs = call.read(move |tx| jobs::list(tx, &filter, &SortKey::at(Millis::MAX), MAX)).await?;
    if jobs.is_empty() {
        let text = format!("No delete task for room_id '{room_id}' found");
        return Err(MatrixError::not_found(text));
    }
    jobs.reverse();
    let results = jobs.into_iter().map(status).collect::<Result<_, _>>()?;
    reply::ok(&Deletions { results })
}
