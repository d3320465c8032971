//! The rooms of a space.

use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use reeve_model::Scope;
use reeve_rooms::Error;
use reeve_rooms::spaces::{self, Hierarchy};
use reeve_rooms::view::View;
use reeve_store::rooms;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Maximum number of rooms in a page.
const MAX: i64 = 50;

/// The rooms of a space, each before its children.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomTree {
    #[schema(value_type = Vec<Object>)]
    rooms: Vec<Value>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room_id}/hierarchy", handle)
        .access(Access::Admin(Scope::RoomsRead))
        .id("getRoomHierarchyAsAdmin")
        .summary("Lists the rooms of a space, regardless of their visibility")
        .query([
            Param::text("from", "the `next_batch` of the page before"),
            Param::integer("limit", "maximum number of rooms; 50 by default and at most"),
            Param::integer("max_depth", "maximum depth; unlimited by default"),
        ])
        .returns::<RoomTree>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "a query parameter is not valid, or `from` belongs to another list"),
            (404, "M_NOT_FOUND", "there is no such room"),
        ])
}

/// Returns the content of a token: the number of rooms to skip, in a certain list.
fn token(skip: usize, max_depth: Option<i64>, room_id: &str) -> String {
    format!("{skip}_{}_{room_id}", max_depth.unwrap_or(-1))
}

async fn handle(call: Call) -> Answer {
    let (room_id, now) = (call.param("room_id"), call.now);
    let limit = call.query.integer("limit")?.unwrap_or(MAX).clamp(1, MAX);
    let max_depth = call.query.integer("max_depth")?;
    let from = match call.query.utf8("from")? {
        None => 0,
        Some(text) => text
            .split('_')
            .next()
            .and_then(|skip| skip.parse().ok())
            .filter(|skip| token(*skip, max_depth, &room_id) == text)
            .ok_or_else(|| MatrixError::invalid_param("Unknown pagination token"))?,
    };
    let limit = usize::try_from(limit).unwrap_or(1);
    let wanted = Hierarchy { max_depth, suggested_only: false, limit, from };
    let root = room_id.clone();
    let (rooms, next) = call
        .read(move |tx| -> Result<_, Error> {
            let root = rooms::find(tx, &root)?.ok_or(Error::NotFound("Room not found"))?;
            spaces::hierarchy(&View::of_admin(tx, now), None, &root, &wanted)
        })
        .await?;
    reply::ok(&RoomTree { rooms, next_batch: next.map(|next| token(next, max_depth, &room_id)) })
}
