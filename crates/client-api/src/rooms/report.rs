//! Reports of events, rooms and users to the administrators.

use http::Method;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, body, reply, shape};
use reeve_model::Session;
use reeve_rooms::reports;

use super::{home, not_text, v3, viewer};

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#reporting-content";
const FULL: (u16, &str, &str) = (400, "M_TOO_LARGE", "the account has reached its limit of reports");

body! {
    /// The reason of a report.
    pub(crate) struct EventReport {
        reason?: String,
        score?: i64,
    }

    /// The reason.
    pub(crate) struct Report {
        reason: String,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "rooms/{room_id}/report/{event_id}", event)
            .access(Access::User)
            .limit(Limit::Reports)
            .id("reportEvent")
            .takes::<EventReport>()
            .returns::<shape::Empty>(200)
            .summary("Reports an event")
            .errors(&[FULL, (404, "M_NOT_FOUND", "there is no such event, or it is not visible")])
            .spec(SPEC),
        v3(Method::POST, "rooms/{room_id}/report", room)
            .access(Access::User)
            .limit(Limit::Reports)
            .id("reportRoom")
            .takes::<Report>()
            .returns::<shape::Empty>(200)
            .summary("Reports a room, without revealing whether it exists")
            .errors(&[FULL])
            .spec(SPEC),
        v3(Method::POST, "users/{user_id}/report", user)
            .access(Access::User)
            .limit(Limit::Reports)
            .id("reportUser")
            .takes::<Report>()
            .returns::<shape::Empty>(200)
            .summary("Reports a user, without revealing whether they exist")
            .errors(&[FULL])
            .spec(SPEC),
    ]
}

async fn event(mut call: Call) -> Answer {
    let body: EventReport = call.take().await?;
    let reason = body.reason.read_or(not_text)?;
    let not_integer = |name| MatrixError::bad_json(format!("Param '{name}' must be an integer"));
    let score = body.score.read_or(not_integer)?;
    let (home, ctx, viewer) = (home(&call), call.ctx(), viewer(&call)?);
    let (room_id, event_id) = (call.param("room_id"), call.param("event_id"));
    call.write(move |tx| {
        let report =
            reports::EventReport { room_id: &room_id, event_id: &event_id, reason: reason.as_deref(), score };
        reports::event(tx, &home, &ctx, &viewer, report)
    })
    .await?;
    reply::empty()
}

async fn room(mut call: Call) -> Answer {
    let reason = call.take::<Report>().await?.reason.read_or(not_text)?;
    let (home, ctx, room_id) = (home(&call), call.ctx(), call.param("room_id"));
    call.act(move |tx, Session { user, .. }| reports::room(tx, &home, &ctx, user, &room_id, &reason)).await?;
    reply::empty()
}

async fn user(mut call: Call) -> Answer {
    let reason = call.take::<Report>().await?.reason.read_or(not_text)?;
    let (home, ctx, target) = (home(&call), call.ctx(), call.param("user_id"));
    reeve_model::id::split(&target)?;
    call.act(move |tx, Session { user, .. }| reports::user(tx, &home, &ctx, user, &target, &reason)).await?;
    reply::empty()
}
