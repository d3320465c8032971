//! Numbers of invites and joins of an account.

use reeve_app::{Access, Answer, Param, Reading, Route, reply};
use reeve_model::{Millis, Scope};
use reeve_store::events;
use serde::Serialize;
use utoipa::ToSchema;

/// Returns the query parameters.
fn query() -> [Param; 1] {
    [Param::integer("from_ts", "count from this time on, in milliseconds (required)").required()]
}
const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_MISSING_PARAM", "`from_ts` is missing"),
    (400, "M_INVALID_PARAM", "`from_ts` is not an integer, or negative"),
];

/// The number of invites that an account sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentInvites {
    invite_count: i64,
}

/// The number of rooms that an account joined, including those it has left.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomsJoined {
    cumulative_joined_room_count: i64,
}

pub(crate) fn sent_invites() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/sent_invite_count", read_sent_invites)
        .access(Access::Admin(Scope::UsersRead))
        .id("countSentInvites")
        .summary("Counts the invites that an account sent since a time")
        .query(query())
        .returns::<SentInvites>(200)
        .errors(ERRORS)
}

pub(crate) fn rooms_joined() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/cumulative_joined_room_count", read_rooms_joined)
        .access(Access::Admin(Scope::UsersRead))
        .id("countJoinedRooms")
        .summary("Counts the rooms that an account joined since a time")
        .query(query())
        .returns::<RoomsJoined>(200)
        .errors(ERRORS)
}

fn read_sent_invites(call: &Reading<'_>) -> Answer {
    let from_ts = Millis::new(call.query.required_integer("from_ts")?);
    let invite_count = events::invites_sent(call.tx, call.params.get("user_id"), from_ts)?;
    reply::ok(&SentInvites { invite_count })
}

fn read_rooms_joined(call: &Reading<'_>) -> Answer {
    let from_ts = Millis::new(call.query.required_integer("from_ts")?);
    let cumulative_joined_room_count = events::rooms_joined(call.tx, call.params.get("user_id"), from_ts)?;
    reply::ok(&RoomsJoined { cumulative_joined_room_count })
}
