//! Blocking of a room: nobody can join it, be invited to it or knock at it. Its members stay.

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::Scope;
use reeve_rooms::{Error, room_admin};
use reeve_store::rooms;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::room_id;

const NOT_LEGAL: (u16, &str, &str) = (400, "M_UNKNOWN", "the room id is malformed");

body! {
    /// The new state of the block.
    pub(crate) struct BlockRoom {
        block: bool,
    }
}

/// The state of the block.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlockedRoom {
    block: bool,
    /// The administrator who blocked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
}

pub(crate) fn get() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room_id}/block", handle_get)
        .access(Access::Admin(Scope::RoomsRead))
        .id("getRoomBlock")
        .summary("Returns whether a room is blocked")
        .returns::<BlockedRoom>(200)
        .errors(&[NOT_LEGAL])
}

pub(crate) fn put() -> Route {
    Route::put("/_synapse/admin/v1/rooms/{room_id}/block", handle_put)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("setRoomBlock")
        .summary("Blocks or unblocks a room, even one unknown to this server")
        .takes::<BlockRoom>()
        .returns::<BlockRoom>(200)
        .errors(&[
            NOT_LEGAL,
            (400, "M_MISSING_PARAM", "`block` is missing"),
            (400, "M_BAD_JSON", "`block` is not a boolean"),
        ])
}

async fn handle_get(call: Call) -> Answer {
    let room_id = room_id(&call)?;
    let user_id = call.read(move |tx| rooms::blocked_by(tx, &room_id)).await?;
    reply::ok(&BlockedRoom { block: user_id.is_some(), user_id })
}

async fn handle_put(mut call: Call) -> Answer {
    let body: BlockRoom = call.take().await?;
    let room_id = room_id(&call)?;
    let block = body.block.read_or(|_| MatrixError::bad_json("Param 'block' must be a boolean."))?;
    let ctx = call.admin_ctx()?;
    call.write(move |tx| -> Result<_, Error> { room_admin::block(tx, &ctx, &room_id, block) }).await?;
    reply::ok(&json!({ "block": block }))
}
