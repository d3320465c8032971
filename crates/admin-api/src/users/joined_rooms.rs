//! The rooms that an account is in.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::{Membership, Scope};
use reeve_store::memberships;
use serde::Serialize;
use utoipa::ToSchema;

/// The rooms that an account is joined to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JoinedRooms {
    joined_rooms: Vec<String>,
    /// The number of rooms.
    total: usize,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/joined_rooms", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listUserJoinedRooms")
        .summary("Lists the rooms that an account is joined to")
        .description(
            "Any user id is accepted, also of other servers: the rooms known to this server are listed.",
        )
        .returns::<JoinedRooms>(200)
}

fn handle(call: &Reading<'_>) -> Answer {
    let rooms = memberships::of_user_in(call.tx, call.params.get("user_id"), Membership::Join)?;
    let joined_rooms: Vec<String> = rooms.into_iter().map(|room| room.room_id).collect();
    reply::ok(&JoinedRooms { total: joined_rooms.len(), joined_rooms })
}
