//! Database statistics.

use reeve_app::{Access, Answer, Call, Route, reply};
use reeve_model::Scope;
use reeve_store::{events, rooms};
use serde::Serialize;
use utoipa::ToSchema;

/// Maximum number of rooms in the list.
const MAX: i64 = 10;

/// A room and the approximate size of its events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomSize {
    room_id: String,
    /// In bytes: the number of its events times the size of the newest.
    estimated_size: i64,
}

/// The largest rooms.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomSizes {
    /// The largest first.
    rooms: Vec<RoomSize>,
}

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/statistics/database/rooms", handle)
        .access(Access::Admin(Scope::ServerRead))
        .id("getLargestRooms")
        .summary("Lists the ten largest rooms")
        .returns::<RoomSizes>(200)
}

async fn handle(call: Call) -> Answer {
    let mut rooms = call
        .read(|tx| -> Result<Vec<RoomSize>, reeve_db::DbError> {
            rooms::largest(tx, MAX)?
                .into_iter()
                .map(|(num, room_id)| {
                    Ok(RoomSize { room_id, estimated_size: events::estimated_size(tx, num)? })
                })
                .collect()
        })
        .await?;
    rooms.sort_by_key(|room| std::cmp::Reverse(room.estimated_size));
    reply::ok(&RoomSizes { rooms })
}
