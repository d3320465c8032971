//! Reports of events, rooms and users, for the administrators.
//! <https://spec.matrix.org/v1.18/client-server-api/#reporting-content>

pub mod acts;
pub mod work;

use std::sync::Arc;

use reeve_db::{ReadTx, Tx};
use reeve_model::{Actor, Ctx, HappeningKind, ReportKind, User};
use reeve_store::happenings::{self, NewHappening};
use reeve_store::reports::NewEventReport;
use reeve_store::rooms;
use reeve_store::{events, reports, users};
use ruma::RoomId;
use serde_json::{Value, json};

use crate::Home;
use crate::error::Error;
use crate::view::{View, Viewer};

/// The longest reason, in characters.
const MAX_REASON: usize = 1000;
/// The longest reason for reporting an event, in bytes: older clients put more into it.
const MAX_EVENT_REASON: usize = 64 * 1024;

/// Refuses if an account has too many reports that administrators have neither resolved nor deleted.
fn check_count(tx: &ReadTx<'_>, home: &Home, kind: ReportKind, user_id: &str) -> Result<(), Error> {
    let most = home.limits.reports;
    if reports::count_by(tx, kind, user_id, most)? >= most {
        return Err(reeve_accounts::Error::too_many("An account", most, "unread reports").into());
    }
    Ok(())
}

/// Tells webhooks of a report.
fn reported(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    kind: HappeningKind,
    target: &str,
    reporter: &str,
    details: &Value,
) -> Result<(), Error> {
    let report = NewHappening {
        ts: ctx.now,
        kind,
        target: Some(target),
        actor: &Actor::User(Arc::from(reporter)),
        audited: None,
        details,
    };
    Ok(happenings::record(tx, &report)?)
}

fn check_reason(reason: &str) -> Result<(), Error> {
    if reason.chars().count() > MAX_REASON {
        return Err(Error::BadContent("Reason must be less than 1000 characters".to_owned()));
    }
    Ok(())
}

/// A report of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventReport<'a> {
    /// The room.
    pub room_id: &'a str,
    /// The event.
    pub event_id: &'a str,
    /// The reason.
    pub reason: Option<&'a str>,
    /// The severity, from -100 (worst) to 0.
    pub score: Option<i64>,
}

/// Reports an event that the reporter can see.
pub fn event(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    viewer: &Viewer,
    EventReport { room_id, event_id, reason, score }: EventReport<'_>,
) -> Result<(), Error> {
    let not_found =
        || Error::NotFound("Unable to report event: it does not exist or you aren't able to see it.");
    let room = rooms::find(tx, room_id)?.ok_or_else(not_found)?;
    let event =
        events::find(tx, event_id)?.filter(|event| event.room_num == room.num).ok_or_else(not_found)?;
    {
        let view = View::of(tx, viewer.clone(), ctx.now)?;
        if !view.room(&room)?.shows(&event) {
            return Err(not_found());
        }
    }
    if reason.is_some_and(|reason| reason.len() > MAX_EVENT_REASON) {
        return Err(reeve_accounts::Error::too_long("The reason of a report", MAX_EVENT_REASON).into());
    }
    check_count(tx, home, ReportKind::Event, &viewer.user_id)?;
    let report = NewEventReport {
        room_num: room.num,
        event_id: &event.event_id,
        sender: &event.sender,
        user_id: &viewer.user_id,
        reason,
        score,
    };
    reports::insert_event(tx, &report, ctx.now)?;
    let details = json!({
        "room_id": room_id, "event_id": event_id, "sender": report.sender, "reason": reason, "score": score,
    });
    reported(tx, ctx, HappeningKind::EventReported, event_id, &viewer.user_id, &details)
}

/// Reports a room. The response does not reveal if the room exists.
pub fn room(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    room_id: &str,
    reason: &str,
) -> Result<(), Error> {
    check_reason(reason)?;
    RoomId::parse(room_id).map_err(|error| Error::Invalid(error.to_string()))?;
    check_count(tx, home, ReportKind::Room, &user.user_id)?;
    if rooms::find(tx, room_id)?.is_some() {
        reports::insert_room(tx, room_id, &user.user_id, reason, ctx.now)?;
        let details = json!({ "reason": reason });
        reported(tx, ctx, HappeningKind::RoomReported, room_id, &user.user_id, &details)?;
    }
    Ok(())
}

/// Reports a user. The response does not reveal if the user exists.
pub fn user(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    target: &str,
    reason: &str,
) -> Result<(), Error> {
    check_reason(reason)?;
    check_count(tx, home, ReportKind::User, &user.user_id)?;
    if users::find(tx, target)?.is_some() {
        reports::insert_user(tx, target, &user.user_id, reason, ctx.now)?;
        let details = json!({ "reason": reason });
        reported(tx, ctx, HappeningKind::UserReported, target, &user.user_id, &details)?;
    }
    Ok(())
}
