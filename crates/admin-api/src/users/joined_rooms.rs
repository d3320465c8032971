//! The rooms that an account is in.

use reeve_http::{Answer, Call, Route, reply};
use serde::Serialize;
use utoipa::ToSchema;

/// The rooms that an account is joined to.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct JoinedRooms {
    joined_rooms: Vec<String>,
    /// How many there are.
    total: usize,
}

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/users/{user_id}/joined_rooms", handle)
        .summary("Lists the rooms that an account is joined to")
        .description(
            "Any user id is taken, also of other servers: the rooms known to this server are listed.",
        )
        .returns::<JoinedRooms>(200)
}

async fn handle(_call: Call) -> Answer {
    // The server has no rooms, so that nobody is in one.
    reply::ok(&JoinedRooms::default())
}
