//! Forward extremities: the events of a room that have no successor. Since this server is alone in its rooms
//! there is always one.

use reeve_app::{Access, Answer, Call, Route, reply};
use reeve_model::Scope;
use reeve_rooms::{Error, room_admin};
use reeve_store::events;
use serde::Serialize;
use utoipa::ToSchema;

const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_UNKNOWN", "the room id or alias is malformed"),
    (404, "M_NOT_FOUND", "there is no such alias"),
];

/// A forward extremity.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Extremity {
    event_id: String,
    /// A number that identifies the state of the room after the event.
    state_group: i64,
    depth: i64,
    /// The time at which it was received, in milliseconds.
    received_ts: i64,
}

/// The forward extremities of a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Extremities {
    count: usize,
    results: Vec<Extremity>,
}

/// The result of the clean-up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedExtremities {
    deleted: i64,
}

pub(crate) fn get() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room}/forward_extremities", handle_get)
        .access(Access::Admin(Scope::RoomsRead))
        .id("listForwardExtremities")
        .summary("Lists the forward extremities of a room")
        .returns::<Extremities>(200)
        .errors(ERRORS)
}

pub(crate) fn delete() -> Route {
    Route::delete("/_synapse/admin/v1/rooms/{room}/forward_extremities", handle_delete)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("deleteForwardExtremities")
        .summary("Deletes all forward extremities of a room except the newest")
        .description("There is never more than one, so nothing is ever deleted.")
        .returns::<DeletedExtremities>(200)
        .errors(ERRORS)
}

async fn handle_get(call: Call) -> Answer {
    let room = call.param("room");
    let results = call
        .read(move |tx| -> Result<_, Error> {
            let Some(room) = room_admin::room(tx, &room)? else { return Ok(Vec::new()) };
            let last = events::find(tx, &room.last_event_id)?;
            Ok(last
                .map(|event| Extremity {
                    event_id: event.event_id,
                    state_group: event.pos.get(),
                    depth: room.depth,
                    received_ts: event.ts.get(),
                })
                .into_iter()
                .collect())
        })
        .await?;
    reply::ok(&Extremities { count: results.len(), results })
}

async fn handle_delete(call: Call) -> Answer {
    let room = call.param("room");
    call.read(move |tx| room_admin::room(tx, &room)?.map(drop).ok_or(Error::NotFound("Room not found")))
        .await?;
    reply::ok(&DeletedExtremities { deleted: 0 })
}
