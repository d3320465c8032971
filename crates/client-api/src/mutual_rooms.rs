//! Rooms that two users share.
//! <https://spec.matrix.org/v1.19/client-server-api/#mutual-rooms>

use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use reeve_model::{RoomNum, id};
use reeve_store::memberships;
use serde_json::{Value, json};

use crate::shapes;

/// Maximum number of rooms in a response.
const MAX_ROOMS: i64 = 100;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read("/_matrix/client/v1/mutual_rooms", mutual_rooms)
            .also("/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms")
            .access(Access::User)
            .summary("Lists the rooms that the caller and another user have joined")
            .id("getMutualRooms")
            .returns::<shapes::rooms::MutualRooms>(200)
            .query([
                Param::text("user_id", "the other user").required(),
                Param::text("from", "`next_batch` of the previous page"),
            ])
            .errors(&[
                (400, "M_MISSING_PARAM", "the user id is missing"),
                (
                    400,
                    "M_INVALID_PARAM",
                    "the user id is malformed or the caller's own, or `from` is invalid",
                ),
            ])
            .spec("https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms"),
    ]
}

fn mutual_rooms(call: &Reading<'_>) -> Answer {
    let own = &call.user()?.user_id;
    let other = call.query.utf8("user_id")?.ok_or_else(|| MatrixError::missing_params(&["user_id"]))?;
    id::split(&other)?;
    if other == *own {
        return Err(MatrixError::invalid_param("You cannot request a list of shared rooms with yourself"));
    }
    let beyond = match call.query.utf8("from")? {
        None => RoomNum::ZERO,
        Some(from) => from
            .parse()
            .ok()
            .filter(|from: &i64| *from >= 0)
            .map(RoomNum::new)
            .ok_or_else(|| MatrixError::invalid_param("Invalid token: 'from'"))?,
    };
    let rooms = memberships::shared_rooms(call.tx, own, &other, beyond, MAX_ROOMS)?;
    let is_full = i64::try_from(rooms.len()).is_ok_and(|found| found == MAX_ROOMS);
    let next = rooms.last().filter(|_| is_full).map(|(num, _)| num.to_string());
    let count = if beyond == RoomNum::ZERO && next.is_none() {
        i64::try_from(rooms.len()).unwrap_or(MAX_ROOMS)
    } else {
        memberships::count_shared_rooms(call.tx, own, &other)?
    };
    let joined: Vec<String> = rooms.into_iter().map(|(_, room_id)| room_id).collect();
    let mut body = json!({ "joined": joined, "count": count });
    if let (Some(next), Value::Object(body)) = (next, &mut body) {
        body.insert("next_batch".to_owned(), Value::String(next));
    }
    reply::ok(&body)
}
