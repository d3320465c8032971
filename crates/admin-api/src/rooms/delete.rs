//! Deletion of a room: everybody leaves and, unless the request says otherwise, everything stored of it is
//! deleted, after a while in the bin.

use std::sync::Arc;
use std::time::Duration;

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_jobs::Job;
use reeve_model::{JobState, Scope};
use reeve_rooms::deletion::{self, Order, Substitute};
use serde::Serialize;
use utoipa::ToSchema;

use super::room_id;

/// Maximum time until the response.
const JOB_WAIT: Duration = Duration::from_mins(10);
const NAME: &str = "Content Violation Notification";
const MESSAGE: &str =
    "Sharing illegal content on this server is not permitted and rooms in violation will be blocked.";

body! {
    /// The options of a deletion.
    pub(crate) struct DeleteRoom {
        /// True to block the room, so that nobody can join it again; false by default.
        block?: bool,
        /// True (the default) to delete everything that is stored of the room.
        purge?: bool,
        /// True to delete the room even if a member could not be removed, and for good at once; false by default.
        force_purge?: bool,
        /// False to delete it for good at once; true by default: it waits in the bin for `rooms.bin_ms`. An extension of
        /// Reeve.
        bin?: bool,
        /// A user id of this server in whose name a new room is created, which the members join. No account needs
        /// to have it.
        new_room_user_id: Option<String>,
        /// The name of the new room.
        room_name: Option<String>,
        /// The message of that user in the new room.
        message: Option<String>,
    }
}

/// The result of the deletion.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct DeletedRoom {
    /// The users who were made to leave.
    kicked_users: Vec<String>,
    /// The users who could not be made to leave.
    failed_to_kick_users: Vec<String>,
    /// The aliases that now point to the new room.
    local_aliases: Vec<String>,
    /// The new room.
    #[schema(required)]
    new_room_id: Option<String>,
}

/// The queued deletion.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderedDeletion {
    delete_id: String,
}

const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_BAD_JSON", "a value has the wrong type"),
    (
        400,
        "M_UNKNOWN",
        "the room id is malformed, `new_room_user_id` is not of this server, or the room is being deleted",
    ),
];

pub(crate) fn v1() -> Route {
    Route::delete("/_synapse/admin/v1/rooms/{room_id}", handle_v1)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("deleteRoom")
        .summary("Deletes a room and returns when that is done")
        .description("The work is a durable job, which continues if the client disconnects.")
        .takes::<DeleteRoom>()
        .returns::<DeletedRoom>(200)
        .errors(ERRORS)
}

pub(crate) fn v2() -> Route {
    Route::delete("/_synapse/admin/v2/rooms/{room_id}", handle_v2)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("deleteRoomInBackground")
        .summary("Deletes a room in the background")
        .description("The work is a durable job; its status can be read for seven days.")
        .takes::<DeleteRoom>()
        .returns::<OrderedDeletion>(200)
        .errors(ERRORS)
}

/// Returns the result of a finished job.
pub(crate) fn deleted(job: &Job) -> Result<Option<DeletedRoom>, MatrixError> {
    Ok(deletion::JOB.outcome(job)?.map(|outcome| DeletedRoom {
        kicked_users: outcome.kicked_users,
        failed_to_kick_users: outcome.failed_to_kick_users,
        local_aliases: outcome.local_aliases,
        new_room_id: outcome.new_room_id,
    }))
}

async fn order(call: &mut Call) -> Result<String, MatrixError> {
    let body: DeleteRoom = call.take().await?;
    let room_id = room_id(call)?;
    let not_boolean = |name| MatrixError::bad_json(format!("Param '{name}' must be a boolean, if given"));
    let block = body.block.read_or(not_boolean)?.unwrap_or(false);
    let purge = body.purge.read_or(not_boolean)?.unwrap_or(true);
    let force_purge = body.force_purge.read_or(not_boolean)?.unwrap_or(false);
    let bin = body.bin.read_or(not_boolean)?.unwrap_or(true);
    let substitute = match body.new_room_user_id.read()? {
        None => None,
        Some(user_id) => {
            if !(user_id.starts_with('@') && call.app.home.is_local(&user_id)) {
                return Err(MatrixError::unknown(format!("User must be our own: {user_id}")));
            }
            Some(Substitute {
                user_id,
                name: body.room_name.read()?.unwrap_or_else(|| NAME.to_owned()),
                message: body.message.read()?.unwrap_or_else(|| MESSAGE.to_owned()),
            })
        }
    };
    let order = Order { room_id, block, purge, force_purge, bin, substitute };
    let (home, ctx) = (Arc::clone(&call.app.home), call.admin_ctx()?);
    call.write(move |tx| deletion::order(tx, &home, &ctx, &order)).await
}

async fn handle_v1(mut call: Call) -> Answer {
    let id = order(&mut call).await?;
    if let Some(job) = call.app.jobs.wait(&id, JOB_WAIT).await? {
        match job.state {
            JobState::Complete => return reply::ok(&deleted(&job)?.unwrap_or_default()),
            JobState::Failed | JobState::Cancelled => {
                let reason = job.error.unwrap_or_else(|| "The room could not be deleted".to_owned());
                return Err(MatrixError::new(500, "M_UNKNOWN", reason));
            }
            JobState::Scheduled | JobState::Active | JobState::Paused => {}
        }
    }
    let text = format!("The room is still being deleted; ask for the status of {id}");
    Err(MatrixError::new(504, "M_UNKNOWN", text))
}

async fn handle_v2(mut call: Call) -> Answer {
    let delete_id = order(&mut call).await?;
    reply::ok(&OrderedDeletion { delete_id })
}
