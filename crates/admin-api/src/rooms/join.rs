//! Joins an account to a room.

use std::sync::Arc;

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{Scope, id};
use reeve_rooms::room_admin;
use serde::Serialize;
use utoipa::ToSchema;

body! {
    /// The account to join.
    pub(crate) struct JoinRoom {
        /// The account.
        user_id: String,
    }
}

/// The joined room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JoinedRoom {
    room_id: String,
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/join/{room}", handle)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("joinUserToRoom")
        .summary("Joins an account to a room, given by id or alias")
        .description(
            "If the room is not public, the administrator, who must be a member, invites the account first.",
        )
        .takes::<JoinRoom>()
        .returns::<JoinedRoom>(200)
        .errors(&[
            (400, "M_MISSING_PARAM", "`user_id` is missing"),
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server, or the room id or alias is malformed"),
            (403, "M_FORBIDDEN", "the administrator may not invite, or the account is banned or deactivated"),
            (403, "M_USER_SUSPENDED", "the account is suspended"),
            (403, "M_UNKNOWN", "the room is blocked"),
            (404, "M_NOT_FOUND", "there is no such account, alias or room"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let room = call.param("room");
    let user_id = call.take::<JoinRoom>().await?.user_id;
    let target = user_id.read_or(|_| MatrixError::invalid_param("'user_id' must be a string"))?;
    id::split(&target)?;
    if !call.app.home.is_local(&target) {
        return Err(MatrixError::unknown("This endpoint can only be used with local users"));
    }
    let (home, ctx) = (Arc::clone(&call.app.home), call.admin_ctx()?);
    let inviter = call.optional_session().map(|session| session.user.clone());
    let room_id =
        call.write(move |tx| room_admin::join(tx, &home, &ctx, inviter.as_ref(), &target, &room)).await?;
    reply::ok(&JoinedRoom { room_id })
}
