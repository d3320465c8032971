//! Deletes a room: everybody leaves, and unless asked otherwise all that is stored of it goes.

use std::sync::Arc;
use std::time::Duration;

use reeve_http::json::Object;
use reeve_http::{Answer, Call, MatrixError, Route, reply};
use reeve_jobs::Job;
use reeve_model::JobState;
use reeve_rooms::deletion::{self, Order, Outcome, Substitute};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::room_id;

/// How long one look waits for the job. It may run in another process, which cannot tell.
const LOOK: Duration = Duration::from_secs(1);
/// How many looks an answer waits at most.
const MOST_LOOKS: usize = 600;
const NAME: &str = "Content Violation Notification";
const MESSAGE: &str =
    "Sharing illegal content on this server is not permitted and rooms in violation will be blocked.";

/// How to delete a room.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the request, which is read key by key")]
pub(crate) struct DeleteRoom {
    /// Whether nobody may join it any more; no by default.
    block: Option<bool>,
    /// Whether what is stored of it goes, too; yes by default.
    purge: Option<bool>,
    /// Whether it goes even if somebody could not be removed; no by default.
    force_purge: Option<bool>,
    /// A user id of this server in whose name a new room is made, into which the members come. No account need have it.
    new_room_user_id: Option<String>,
    /// The name of the new room.
    room_name: Option<String>,
    /// What that account says in the new room.
    message: Option<String>,
}

/// What came of it.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct DeletedRoom {
    /// Who was made to leave.
    kicked_users: Vec<String>,
    /// Who could not be made to leave.
    failed_to_kick_users: Vec<String>,
    /// The aliases that stand for the new room now.
    local_aliases: Vec<String>,
    /// The new room.
    #[schema(required)]
    new_room_id: Option<String>,
}

/// The work that was ordered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderedDeletion {
    delete_id: String,
}

const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_BAD_JSON", "a value has the wrong type"),
    (
        400,
        "M_UNKNOWN",
        "this is no room id, `new_room_user_id` is not of this server, or the room is being deleted",
    ),
];

pub(crate) fn v1() -> Route {
    Route::delete("/_synapse/admin/v1/rooms/{room_id}", handle_v1)
        .id("deleteRoom")
        .summary("Deletes a room and answers when it is done")
        .description("A durable job does it, which goes on if the client hangs up.")
        .takes::<DeleteRoom>()
        .returns::<DeletedRoom>(200)
        .errors(ERRORS)
}

pub(crate) fn v2() -> Route {
    Route::delete("/_synapse/admin/v2/rooms/{room_id}", handle_v2)
        .id("deleteRoomInBackground")
        .summary("Deletes a room in the background")
        .description("A durable job does it; its status can be asked for during seven days.")
        .takes::<DeleteRoom>()
        .returns::<OrderedDeletion>(200)
        .errors(ERRORS)
}

/// What a finished job says.
pub(crate) fn deleted(job: &Job) -> Result<Option<DeletedRoom>, MatrixError> {
    let Some(result) = &job.result else { return Ok(None) };
    let outcome: Outcome = serde_json::from_str(result).map_err(MatrixError::internal)?;
    Ok(Some(DeletedRoom {
        kicked_users: outcome.kicked_users,
        failed_to_kick_users: outcome.failed_to_kick_users,
        local_aliases: outcome.local_aliases,
        new_room_id: outcome.new_room_id,
    }))
}

fn boolean(body: &Object, key: &str, default: bool) -> Result<bool, MatrixError> {
    match body.get(key) {
        None => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(MatrixError::bad_json(format!("Param '{key}' must be a boolean, if given"))),
    }
}

fn text(body: &Object, key: &str) -> Result<Option<String>, MatrixError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(MatrixError::bad_json(format!("'{key}' must be a string"))),
    }
}

async fn order(call: &mut Call) -> Result<String, MatrixError> {
    let body = call.object().await?;
    let room_id = room_id(call)?;
    let block = boolean(&body, "block", false)?;
    let purge = boolean(&body, "purge", true)?;
    let force_purge = boolean(&body, "force_purge", false)?;
    let substitute = match text(&body, "new_room_user_id")? {
        None => None,
        Some(user_id) => {
            if !(user_id.starts_with('@') && call.app.home.is_local(&user_id)) {
                return Err(MatrixError::unknown(format!("User must be our own: {user_id}")));
            }
            Some(Substitute {
                user_id,
                name: text(&body, "room_name")?.unwrap_or_else(|| NAME.to_owned()),
                message: text(&body, "message")?.unwrap_or_else(|| MESSAGE.to_owned()),
            })
        }
    };
    let order = Order { room_id, block, purge, force_purge, substitute };
    let (home, ctx) = (Arc::clone(&call.app.home), call.admin_ctx()?);
    let job = call.write(move |tx| deletion::order(tx, &home, &ctx, &order)).await?;
    call.app.jobs.wake();
    Ok(job)
}

async fn handle_v1(mut call: Call) -> Answer {
    let id = order(&mut call).await?;
    for _ in 0..MOST_LOOKS {
        let Some(job) = call.app.jobs.wait(&id, LOOK).await? else { break };
        match job.state {
            JobState::Complete => return reply::ok(&deleted(&job)?.unwrap_or_default()),
            JobState::Failed | JobState::Cancelled => {
                let reason = job.error.unwrap_or_else(|| "The room could not be deleted".to_owned());
                return Err(MatrixError::new(http::StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", reason));
            }
            JobState::Scheduled | JobState::Active => {}
        }
    }
    let text = format!("The room is still being deleted; ask for the status of {id}");
    Err(MatrixError::new(http::StatusCode::GATEWAY_TIMEOUT, "M_UNKNOWN", text))
}

async fn handle_v2(mut call: Call) -> Answer {
    let delete_id = order(&mut call).await?;
    reply::ok(&OrderedDeletion { delete_id })
}
