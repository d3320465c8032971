//! Acts on what was reported, in one step with the resolution of the report.

use reeve_accounts::{audit, moderation, rights};
use reeve_db::{ReadTx, Tx};
use reeve_media::deeds::{self, Progress};
use reeve_model::{Ctx, ReportAct, Resolution, Scope};
use reeve_store::events::{self, Event};
use reeve_store::media::{self, Media};
use reeve_store::report_work::{self, Report, ReportId, Subject};
use serde_json::json;

use super::work::{self, name};
use crate::error::Error;
use crate::lookup::find_room;
use crate::redaction::{self, Redaction};
use crate::{Home, attachments, room_admin, types};

/// An act to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// The report.
    pub id: ReportId,
    /// The number of changes of the report that the caller has seen.
    pub seen: i64,
    /// The act.
    pub act: ReportAct,
    /// The reason of a redaction or a ban, which the room sees.
    pub reason: Option<String>,
    /// True if the report is resolved with it.
    pub resolve: bool,
}

/// How far an act is.
#[derive(Debug)]
pub enum Outcome {
    /// A part of a quarantine is done; the rest follows in another transaction, from this position.
    Partly(Progress),
    /// It is done.
    Wholly(Report),
}

/// The scope that an act needs beside that of its route.
const fn scope(act: ReportAct) -> Scope {
    match act {
        ReportAct::Redact | ReportAct::Suspend => Scope::UsersModerate,
        ReportAct::Ban => Scope::RoomsWrite,
        ReportAct::Quarantine => Scope::MediaWrite,
    }
}

/// Does an act on what was reported, or a part of it, from a position. The transaction that completes it also resolves the
/// report, if the order says so. An act that was done before changes nothing more.
pub fn act(tx: &mut Tx<'_>, home: &Home, ctx: &Ctx, order: &Order, from: Progress) -> Result<Outcome, Error> {
    rights::check_holds(ctx, scope(order.act))?;
    let report = work::unchanged(tx, order.id, order.seen)?;
    let reason = order.reason.as_deref();
    match (order.act, &report.subject) {
        (ReportAct::Redact, Subject::Event { room_id, event_id, .. }) => {
            redact(tx, home, ctx, room_id, event_id, reason)?;
        }
        (ReportAct::Ban, Subject::Event { room_id, sender, .. }) => {
            rights::check_may_change_any(tx, ctx, sender)?;
            let mut room = find_room(tx, room_id)?;
            room_admin::ban(tx, home, ctx, &mut room, sender, reason)?;
        }
        (ReportAct::Suspend, Subject::Event { sender: user_id, .. } | Subject::User { user_id }) => {
            no_reason(reason)?;
            suspend(tx, ctx, user_id)?;
        }
        (ReportAct::Quarantine, Subject::Event { event_id, sender, .. }) => {
            no_reason(reason)?;
            rights::check_may_change_any(tx, ctx, sender)?;
            let uploads = uploads(tx, home, event_id)?;
            if let (_, Some(next)) = deeds::quarantine(tx, ctx, &uploads, from)? {
                return Ok(Outcome::Partly(next));
            }
        }
        (
            ReportAct::Redact | ReportAct::Ban | ReportAct::Quarantine,
            Subject::Room { .. } | Subject::User { .. },
        )
        | (ReportAct::Suspend, Subject::Room { .. }) => {
            let (act, kind) = (order.act, order.id.kind);
            return Err(Error::Invalid(format!(
                "The act '{act}' cannot be done on a report of kind '{kind}'"
            )));
        }
    }
    let resolution = if order.resolve { Some(Resolution::Acted) } else { report.resolution };
    if resolution != report.resolution {
        report_work::set(tx, order.id, report.assignee.as_deref(), resolution)?;
    }
    let changes =
        json!({ "act": order.act, "on": on(&report.subject), "reason": reason, "resolved": order.resolve });
    audit::record(tx, ctx, "report.act", &name(order.id), &changes)?;
    Ok(Outcome::Wholly(work::find(tx, order.id)?))
}

/// The ids of what was reported, for the audit log.
fn on(subject: &Subject) -> serde_json::Value {
    match subject {
        Subject::Event { room_id, event_id, sender, .. } => {
            json!({ "room_id": room_id, "event_id": event_id, "user_id": sender })
        }
        Subject::Room { room_id } => json!({ "room_id": room_id }),
        Subject::User { user_id } => json!({ "user_id": user_id }),
    }
}

/// Refuses a reason that nobody would see.
fn no_reason(reason: Option<&str>) -> Result<(), Error> {
    if reason.is_none() { Ok(()) } else { Err(Error::Invalid("This act takes no reason".to_owned())) }
}

/// Returns the reported event, which may have been purged.
fn event(tx: &ReadTx<'_>, event_id: &str) -> Result<Event, Error> {
    events::find(tx, event_id)?.ok_or(Error::NotFound("The reported event is not stored any more"))
}

/// Redacts an event in the name of its sender, whatever the rules of the room.
fn redact(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    room_id: &str,
    event_id: &str,
    reason: Option<&str>,
) -> Result<(), Error> {
    let target = event(tx, event_id)?;
    rights::check_may_change_any(tx, ctx, &target.sender)?;
    if target.event_type == types::CREATE {
        return Err(Error::forbidden("Redacting a create event is not permitted"));
    }
    if target.redacted_by.is_none() {
        let mut room = find_room(tx, room_id)?;
        let redaction = Redaction { sender: &target.sender, target: &target, reason, bypass_auth: true };
        redaction::redact_as(tx, home, &mut room, redaction, ctx.now)?;
    }
    Ok(())
}

/// Suspends an account, but not that of the actor.
fn suspend(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str) -> Result<(), Error> {
    if rights::to_change(tx, ctx, user_id)?.deactivated {
        return Err(reeve_accounts::Error::Deactivated.into());
    }
    if ctx.is_by(user_id) {
        return Err(reeve_accounts::Error::NotModerated("You may not lock or suspend yourself").into());
    }
    moderation::set_suspended(tx, ctx, user_id, true)?;
    Ok(())
}

/// Returns the uploads of this server in an event. An encrypted event does not show any.
fn uploads(tx: &ReadTx<'_>, home: &Home, event_id: &str) -> Result<Vec<Media>, Error> {
    let own = format!("mxc://{}/", home.server_name);
    let mut uploads = Vec::new();
    for media in attachments::of_event(&event(tx, event_id)?)? {
        if let Some(media_id) = media.strip_prefix(&own) {
            uploads.extend(media::find(tx, media_id)?);
        }
    }
    if uploads.is_empty() {
        return Err(Error::NotFound("The event has no media that this server stores"));
    }
    if uploads.iter().all(|upload| upload.safe_from_quarantine) {
        return Err(Error::forbidden("The media of the event is protected from quarantine"));
    }
    Ok(uploads)
}
