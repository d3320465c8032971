//! Gives an account power in a room.

use std::sync::Arc;

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply, shape};
use reeve_model::Scope;
use reeve_rooms::room_admin;

body! {
    /// The account that receives the power.
    pub(crate) struct MakeAdmin {
        /// The account; the caller by default.
        user_id: Option<String>,
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/rooms/{room}/make_room_admin", handle)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("makeRoomAdmin")
        .returns::<shape::Empty>(200)
        .summary("Gives an account the highest power level of a member in a room")
        .description("The member with that power also invites the account, unless it could join by itself.")
        .may_take::<MakeAdmin>()
        .errors(&[
            (400, "M_UNKNOWN", "no member can grant the power, or an id or alias is malformed"),
            (404, "M_NOT_FOUND", "there is no such account or alias"),
            (403, "M_FORBIDDEN", "the account is banned from the room"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let room = call.param("room");
    let user_id = call.take::<MakeAdmin>().await?.user_id;
    let target = match user_id.read_or(|_| MatrixError::invalid_param("'user_id' must be a string"))? {
        Some(user_id) => user_id,
        None => call.user()?.user_id.clone(),
    };
    let (home, ctx) = (Arc::clone(&call.app.home), call.admin_ctx()?);
    call.write(move |tx| room_admin::make_admin(tx, &home, &ctx, &target, &room)).await?;
    reply::empty()
}
