//! Memberships: join, leave, invite, knock, kick, ban.

use http::Method;
use reeve_app::limits::Bucket;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, body, reply, shape};
use reeve_model::{Membership, Session};
use reeve_rooms::membership::{self, Invite, Removal, RemovalKind};
use reeve_rooms::{Error, lookup, preview};
use reeve_store::memberships;
use serde_json::json;

use super::aliases::RoomId;
use super::{home, not_text, v3};

use crate::shapes;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#room-membership";
const ERRORS: &[(u16, &str, &str)] = &[
    (403, "M_FORBIDDEN", "the rules of the room forbid it"),
    (403, "M_UNKNOWN", "an administrator blocked the room"),
    (403, "M_USER_SUSPENDED", "the acting account is suspended"),
    (404, "M_NOT_FOUND", "there is no such room"),
];

const INVITE_ERRORS: &[(u16, &str, &str)] = &[
    (403, "M_FORBIDDEN", "the rules of the room forbid it"),
    (403, "M_INVITE_BLOCKED", "the invited user blocks invites"),
    (403, "M_USER_SUSPENDED", "the acting account is suspended"),
    (404, "M_NOT_FOUND", "there is no such room"),
];

body! {
    /// The reason.
    pub(crate) struct Reason {
        reason: Option<String>,
    }

    /// The user, and the reason.
    pub(crate) struct TargetUser {
        user_id: String,
        reason: Option<String>,
        /// The kind of a third-party id, to which nobody is invited.
        #[schema(ignore)]
        medium: Option<String>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let changing = |route: Route| route.limit(Limit::Message).errors(ERRORS).spec(SPEC);
    vec![
        changing(v3(Method::POST, "join/{room_id_or_alias}", join).access(Access::Guest))
            .id("joinRoom")
            .may_take::<Reason>()
            .returns::<RoomId>(200)
            .summary("Joins a room"),
        changing(v3(Method::POST, "rooms/{room_id}/join", join).access(Access::Guest))
            .id("joinRoomById")
            .may_take::<Reason>()
            .returns::<RoomId>(200)
            .summary("Joins a room by its id"),
        changing(v3(Method::POST, "knock/{room_id_or_alias}", knock).access(Access::User))
            .id("knockRoom")
            .may_take::<Reason>()
            .returns::<RoomId>(200)
            .summary("Knocks at a room"),
        changing(v3(Method::POST, "rooms/{room_id}/leave", leave).access(Access::Guest))
            .id("leaveRoom")
            .may_take::<Reason>()
            .returns::<shape::Empty>(200)
            .summary("Leaves a room, declines an invite or withdraws a knock")
            .errors(&[(
                403,
                "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM",
                "invites to server notice rooms cannot be declined",
            )]),
        changing(v3(Method::POST, "rooms/{room_id}/invite", invite).access(Access::User))
            .id("inviteUser")
            .may_take::<TargetUser>()
            .returns::<shape::Empty>(200)
            .summary("Invites a user")
            .errors(INVITE_ERRORS),
        changing(
            v3(Method::POST, "rooms/{room_id}/kick", |call| remove(call, RemovalKind::Kick))
                .access(Access::User),
        )
        .id("kick")
        .may_take::<TargetUser>()
        .returns::<shape::Empty>(200)
        .summary("Kicks a user"),
        changing(
            v3(Method::POST, "rooms/{room_id}/ban", |call| remove(call, RemovalKind::Ban))
                .access(Access::User),
        )
        .id("ban")
        .may_take::<TargetUser>()
        .returns::<shape::Empty>(200)
        .summary("Bans a user"),
        changing(
            v3(Method::POST, "rooms/{room_id}/unban", |call| remove(call, RemovalKind::Unban))
                .access(Access::User),
        )
        .id("unban")
        .may_take::<TargetUser>()
        .returns::<shape::Empty>(200)
        .summary("Unbans a user")
        .errors(&[(403, "M_BAD_STATE", "the user is not banned")]),
        v3(Method::POST, "rooms/{room_id}/forget", forget)
            .access(Access::Guest)
            .id("forgetRoom")
            .returns::<shape::Empty>(200)
            .summary("Forgets a room that was left")
            .errors(&[
                (400, "M_UNKNOWN", "the account is still in the room"),
                (404, "M_NOT_FOUND", "there is no such room"),
            ])
            .spec(SPEC),
        v3(Method::GET, "joined_rooms", joined_rooms)
            .access(Access::Guest)
            .id("getJoinedRooms")
            .returns::<shapes::rooms::JoinedRoomIds>(200)
            .summary("Lists the rooms that the account has joined")
            .spec(SPEC),
    ]
}

fn named(call: &Call) -> String {
    let by_id = call.param("room_id");
    if by_id.is_empty() { call.param("room_id_or_alias") } else { by_id }
}

async fn reason(call: &mut Call) -> Result<Option<String>, MatrixError> {
    call.take::<Reason>().await?.reason.read_or(not_text)
}

/// Returns the limits that joining a room, named by its id or an alias, counts against. Joining a room again is not
/// counted.
pub(super) async fn joining(call: &Call, named: &str) -> Result<Vec<Bucket>, MatrixError> {
    if !call.app.limiter.limits().enabled {
        return Ok(Vec::new());
    }
    let (user, named) = (call.user()?.clone(), named.to_owned());
    let num = user.num;
    let joins = call
        .read(move |tx| match preview::room_to_enter(tx, &user.user_id, &named) {
            Ok(room) if membership::current(tx, &user.user_id, &room)? == Membership::Join => Ok(None),
            Ok(room) => Ok(Some(room.room_id)),
            Err(Error::Db(error)) => Err(Error::Db(error)),
            // The deed returns the reason.
            Err(_) => Ok(None),
        })
        .await?;
    Ok(joins.map_or_else(Vec::new, |room_id| vec![Bucket::Joins(num), Bucket::JoinsOfRoom(room_id)]))
}

/// Returns the limits that an invite counts against.
pub(super) fn inviting(call: &Call, room_id: &str, target: &str) -> Result<Vec<Bucket>, MatrixError> {
    Ok(vec![
        Bucket::InvitesBy(call.user()?.num),
        Bucket::InvitesOf(target.to_owned()),
        Bucket::InvitesInto(room_id.to_owned()),
    ])
}

async fn join(mut call: Call) -> Answer {
    let reason = reason(&mut call).await?;
    let (home, ctx, named) = (home(&call), call.ctx(), named(&call));
    let buckets = joining(&call, &named).await?;
    let deed = call.act(move |tx, Session { user, .. }| -> Result<_, Error> {
        let mut room = preview::room_to_enter(tx, &user.user_id, &named)?;
        membership::join(tx, &home, &ctx, user, &mut room, reason.as_deref())?;
        Ok(room.room_id)
    });
    let room_id = call.app.limiter.counted(call.session()?, &buckets, call.now, deed).await?;
    reply::ok(&json!({ "room_id": room_id }))
}

async fn knock(mut call: Call) -> Answer {
    let reason = reason(&mut call).await?;
    let (home, ctx, named) = (home(&call), call.ctx(), named(&call));
    let room_id = call
        .act(move |tx, Session { user, .. }| -> Result<_, Error> {
            let mut room = preview::room_to_enter(tx, &user.user_id, &named)?;
            membership::knock(tx, &home, &ctx, user, &mut room, reason.as_deref())?;
            Ok(room.room_id)
        })
        .await?;
    reply::ok(&json!({ "room_id": room_id }))
}

async fn leave(mut call: Call) -> Answer {
    let reason = reason(&mut call).await?;
    let (home, ctx, room_id) = (home(&call), call.ctx(), call.param("room_id"));
    call.act(move |tx, Session { user, .. }| -> Result<_, Error> {
        let mut room = lookup::find_room(tx, &room_id)
            .map_err(|_| Error::Forbidden(format!("User {} not in room {room_id}", user.user_id)))?;
        membership::leave(tx, &home, &ctx, &user.user_id, &mut room, reason.as_deref())
    })
    .await?;
    reply::empty()
}

async fn invite(mut call: Call) -> Answer {
    let body: TargetUser = call.take().await?;
    let reason = body.reason.read_or(not_text)?;
    if body.medium.value().is_some() {
        return Err(MatrixError::forbidden(
            "This server does not invite by e-mail address or telephone number",
        ));
    }
    let target = body.user_id.read_or(not_text)?;
    let (home, ctx, room_id) = (home(&call), call.ctx(), call.param("room_id"));
    let buckets = inviting(&call, &room_id, &target)?;
    let deed = call.act(move |tx, Session { user, .. }| -> Result<_, Error> {
        let mut room = lookup::find_room(tx, &room_id)
            .map_err(|_| Error::Forbidden(format!("User {} not in room {room_id}", user.user_id)))?;
        let invite = Invite { reason: reason.as_deref(), ..Invite::of(&target) };
        membership::invite(tx, &home, &ctx, user, &mut room, invite)
    });
    call.app.limiter.counted(call.session()?, &buckets, call.now, deed).await?;
    reply::empty()
}

async fn remove(mut call: Call, kind: RemovalKind) -> Answer {
    let body: TargetUser = call.take().await?;
    let reason = body.reason.read_or(not_text)?;
    let target = body.user_id.read_or(not_text)?;
    let (home, ctx, room_id) = (home(&call), call.ctx(), call.param("room_id"));
    call.act(move |tx, Session { user, .. }| -> Result<_, Error> {
        let mut room = lookup::find_room(tx, &room_id)
            .map_err(|_| Error::Forbidden(format!("User {} not in room {room_id}", user.user_id)))?;
        let removal = Removal { target: &target, kind, reason: reason.as_deref() };
        membership::remove(tx, &home, &ctx, user, &mut room, removal)
    })
    .await?;
    reply::empty()
}

async fn forget(call: Call) -> Answer {
    let room_id = call.param("room_id");
    call.act(move |tx, Session { user, .. }| membership::forget(tx, &user.user_id, &room_id)).await?;
    reply::empty()
}

async fn joined_rooms(call: Call) -> Answer {
    let user_id = call.user()?.user_id.clone();
    let rooms = call.read(move |tx| memberships::of_user_in(tx, &user_id, Membership::Join)).await?;
    let rooms: Vec<String> = rooms.into_iter().map(|room| room.room_id).collect();
    reply::ok(&json!({ "joined_rooms": rooms }))
}
