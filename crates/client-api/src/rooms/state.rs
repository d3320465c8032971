//! The state of a room.

use http::Method;
use reeve_app::limits::Bucket;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Endpoint, Limit, MatrixError, Param, Route, reply};
use reeve_model::{Membership, Pos, Session};
use reeve_rooms::membership;
use reeve_rooms::send::{self, Sent};
use reeve_rooms::types;
use reeve_rooms::view::View;
use reeve_rooms::{Error, event};
use reeve_store::events;
use serde_json::json;

use super::membership::{inviting, joining};
use super::{home, open, v3, viewer};

use crate::shapes;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3roomsroomidstate";

pub(crate) fn routes() -> Vec<Route> {
    let reading = |endpoint: Endpoint| {
        endpoint
            .access(Access::Guest)
            .errors(&[
                (403, "M_FORBIDDEN", "the account may not read the room"),
                (404, "M_NOT_FOUND", "the room has no such state"),
            ])
            .spec(SPEC)
    };
    let setting = |route: Route| {
        route
            .limit(Limit::Message)
            .takes::<AnyObject>()
            .returns::<shapes::rooms::EventId>(200)
            .summary("Sends a state event")
            .errors(&[
                (400, "M_BAD_ALIAS", "an alias does not belong to the room"),
                (400, "M_UNKNOWN", "a power level is given to a malformed user id"),
                (400, "M_BAD_JSON", "the content is not canonical JSON, or not valid for the type"),
                (403, "M_FORBIDDEN", "the rules of the room forbid it"),
                (403, "M_INVITE_BLOCKED", "the invited user blocks invites"),
                (403, "M_BAD_STATE", "the change of membership is not allowed"),
                (
                    403,
                    "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM",
                    "invites to server notice rooms cannot be declined",
                ),
                (403, "M_UNKNOWN", "an administrator blocked the room"),
                (403, "M_USER_SUSPENDED", "the acting account is suspended"),
            ])
    };
    vec![
        reading(v3(Method::GET, "rooms/{room_id}/state", all))
            .id("getRoomState")
            .returns::<shapes::rooms::State>(200)
            .summary("Returns the whole state of a room"),
        reading(v3(Method::GET, "rooms/{room_id}/state/{event_type}", one))
            .id("getRoomStateWithEmptyKey")
            .query([Param::word(
                "format",
                &["content", "event"],
                "`event` to return the whole event instead of its content",
            )])
            .returns::<AnyObject>(200)
            .summary("Returns the content of a state event with an empty key"),
        reading(v3(Method::GET, "rooms/{room_id}/state/{event_type}/{state_key}", one))
            .id("getRoomStateWithKey")
            .query([Param::word(
                "format",
                &["content", "event"],
                "`event` to return the whole event instead of its content",
            )])
            .returns::<AnyObject>(200)
            .summary("Returns the content of a state event"),
        setting(v3(Method::PUT, "rooms/{room_id}/state/{event_type}", set).access(Access::User))
            .id("setRoomStateWithEmptyKey"),
        setting(v3(Method::PUT, "rooms/{room_id}/state/{event_type}/{state_key}", set).access(Access::User))
            .id("setRoomStateWithKey"),
    ]
}

async fn all(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let state = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = open(&view, tx, &room_id)?;
            let at = room.state_pos(Pos::PRESENT);
            room.show_state(&events::all_state_at(tx, room.room.num, at)?)
        })
        .await?;
    reply::ok(&state)
}

async fn one(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let (event_type, state_key) = (call.param("event_type"), call.param("state_key"));
    let whole = call.query.utf8("format")?.as_deref() == Some("event");
    let answer = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = open(&view, tx, &room_id)?;
            let at = room.state_pos(Pos::PRESENT);
            let found = events::state_at(tx, room.room.num, &event_type, &state_key, at)?;
            let found = found.ok_or(Error::NotFound("Event not found."))?;
            if whole {
                return Ok(room.show_plain(&found)?.to_value());
            }
            // The state of a room stays visible when its sender was erased.
            Ok(serde_json::Value::Object(event::content(&found, &room.rules)?))
        })
        .await?;
    reply::ok(&answer)
}

async fn set(mut call: Call) -> Answer {
    let AnyObject(content) = call.take().await?;
    let sent =
        Sent { event_type: call.param("event_type"), state_key: Some(call.param("state_key")), content };
    let (home, ctx, room_id) = (home(&call), call.ctx(), call.param("room_id"));
    let buckets = moving(&call, &room_id, &sent).await?;
    let deed = call.act(move |tx, Session { user, .. }| send::send(tx, &home, &ctx, user, &room_id, &sent));
    let event_id = call.app.limiter.counted(call.session()?, &buckets, call.now, deed).await?;
    reply::ok(&json!({ "event_id": event_id }))
}

/// Returns the limits that a state event counts against if it invites a user or joins its sender.
async fn moving(call: &Call, room_id: &str, sent: &Sent) -> Result<Vec<Bucket>, MatrixError> {
    let Some(target) = sent.state_key.as_deref().filter(|_| sent.event_type == types::MEMBER) else {
        return Ok(Vec::new());
    };
    match membership::named(&sent.content) {
        Some(Membership::Invite) => inviting(call, room_id, target),
        Some(Membership::Join) if target == call.user()?.user_id => joining(call, room_id).await,
        Some(Membership::Join | Membership::Knock | Membership::Leave | Membership::Ban) | None => {
            Ok(Vec::new())
        }
    }
}
