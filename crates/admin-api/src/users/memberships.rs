//! Memberships of an account.

use std::collections::BTreeMap;

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;
use reeve_store::memberships;
use serde::Serialize;
use utoipa::ToSchema;

/// The memberships of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Memberships {
    /// By room id: `join`, `leave`, `invite`, `knock` or `ban`.
    memberships: BTreeMap<String, String>,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/memberships", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listUserMemberships")
        .summary("Lists the memberships of an account in all rooms")
        .description("Any user id is accepted, also of other servers.")
        .returns::<Memberships>(200)
}

fn handle(call: &Reading<'_>) -> Answer {
    let rooms = memberships::of_user(call.tx, call.params.get("user_id"))?;
    let memberships =
        rooms.into_iter().map(|room| (room.room_id, room.member.membership.to_string())).collect();
    reply::ok(&Memberships { memberships })
}
