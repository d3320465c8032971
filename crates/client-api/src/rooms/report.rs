//! Reports of events, rooms and users to the administrators.

use http::Method;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, reply, shape};
use reeve_model::Session;
use reeve_rooms::reports::{self, EventReport};
use serde_json::Value;

use super::{home, required_text, v3, viewer};

use crate::shapes;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#reporting-content";
const FULL: (u16, &str, &str) = (400, "M_TOO_LARGE", "the account has reached its limit of reports");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "rooms/{room_id}/report/{event_id}", event)
            .access(Access::User)
            .limit(Limit::Reports)
            .id("reportEvent")
            .takes::<shapes::rooms::EventReport>()
            .returns::<shape::Empty>(200)
            .summary("Reports an event")
            .errors(&[FULL, (404, "M_NOT_FOUND", "there is no such event, or it is not visible")])
            .spec(SPEC),
        v3(Method::POST, "rooms/{room_id}/report", room)
            .access(Access::User)
            .limit(Limit::Reports)
            .id("reportRoom")
            .takes::<shapes::rooms::Report>()
            .returns::<shape::Empty>(200)
            .summary("Reports a room, without revealing whether it exists")
            .errors(&[FULL])
            .spec(SPEC),
        v3(Method::POST, "users/{user_id}/report", user)
            .access(Access::User)
            .limit(Limit::Reports)
            .id("reportUser")
            .takes::<shapes::rooms::Report>()
            .returns::<shape::Empty>(200)
            .summary("Reports a user, without revealing whether they exist")
            .errors(&[FULL])
            .spec(SPEC),
    ]
}

async fn event(mut call: Call) -> Answer {
    let body = call.object().await?;
    let reason = match body.get("reason") {
        None => None,
        Some(Value::String(reason)) => Some(reason.clone()),
        Some(_) => return Err(MatrixError::bad_json("Param 'reason' must be a string")),
    };
    let score = match body.get("score") {
        None => None,
        Some(score) => {
            Some(score.as_i64().ok_or_else(|| MatrixError::bad_json("Param 'score' must be an integer"))?)
        }
    };
    let (home, ctx, viewer) = (home(&call), call.ctx(), viewer(&call)?);
    let (room_id, event_id) = (call.param("room_id"), call.param("event_id"));
    call.write(move |tx| {
        let report = EventReport { room_id: &room_id, event_id: &event_id, reason: reason.as_deref(), score };
        reports::event(tx, &home, &ctx, &viewer, report)
    })
    .await?;
    reply::empty()
}

async fn room(mut call: Call) -> Answer {
    let reason = required_text(&call.object().await?, "reason")?;
    let (home, ctx, room_id) = (home(&call), call.ctx(), call.param("room_id"));
    call.act(move |tx, Session { user, .. }| reports::room(tx, &home, &ctx, user, &room_id, &reason)).await?;
    reply::empty()
}

async fn user(mut call: Call) -> Answer {
    let reason = required_text(&call.object().await?, "reason")?;
    let (home, ctx, target) = (home(&call), call.ctx(), call.param("user_id"));
    reeve_model::id::split(&target)?;
    call.act(move |tx, Session { user, .. }| reports::user(tx, &home, &ctx, user, &target, &reason)).await?;
    reply::empty()
}
