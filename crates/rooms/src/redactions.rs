//! Redaction of all messages of an account, as a durable job.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_db::Tx;
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{Ctx, Membership, Millis, Pos};
use reeve_store::events::{self, Event};
use reeve_store::memberships;
use reeve_store::rooms;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Home;
use crate::error::Error;
use crate::redaction::{self, Redaction};
use crate::types;

/// The job that redacts.
pub const JOB: JobKind<Order, Progress, Outcome> = JobKind::new("redact_all_events");
/// The default number of events that are redacted in a room.
const LIMIT: i64 = 1000;
/// The number of events in one step.
const STEP_EVENTS: i64 = 20;

/// The events to redact.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Order {
    /// The user id of their sender.
    pub user_id: String,
    /// The rooms; empty, before the job is queued, for all that the user has joined or is banned from.
    pub rooms: Vec<String>,
    /// The reason.
    pub reason: Option<String>,
    /// The number of the newest events in each room; `None` for the default.
    pub limit: Option<i64>,
    /// The user who redacts; `None` for the sender.
    pub redacted_by: Option<String>,
    /// Only events up to this time.
    pub before_ts: Option<Millis>,
    /// Only events from this time.
    pub after_ts: Option<Millis>,
}

/// The progress of the job.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Progress {
    /// The number of completed rooms; the next one is the present one.
    rooms_done: usize,
    /// The position below which events of the present room are left to do; `None` before the first.
    before_pos: Option<Pos>,
    /// The number of events found in the present room so far.
    found: i64,
    /// The outcome so far.
    outcome: Outcome,
}

/// The outcome of a redaction.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// The ids of events that could not be redacted, with the reasons.
    pub failed_redactions: BTreeMap<String, String>,
}

/// Orders a redaction and returns the id of the job.
pub fn order(tx: &mut Tx<'_>, ctx: &Ctx, mut order: Order) -> Result<String, Error> {
    if JOB.is_unfinished(tx, &order.user_id)? {
        return Err(Error::Refused(format!("Redact already in progress for user {}", order.user_id)));
    }
    reeve_accounts::rights::check_may_change_any(tx, ctx, &order.user_id)?;
    let changes = json!({ "rooms": order.rooms, "reason": order.reason, "limit": order.limit });
    if order.rooms.is_empty() {
        for membership in [Membership::Join, Membership::Ban] {
            let rooms = memberships::of_user_in(tx, &order.user_id, membership)?;
            order.rooms.extend(rooms.into_iter().map(|room| room.room_id));
        }
    }
    let total = i64::try_from(order.rooms.len()).unwrap_or(i64::MAX);
    let job = JOB.enqueue(tx, &order.user_id, &order, total, ctx.now)?;
    reeve_accounts::audit::record(tx, ctx, "user.redact", &order.user_id, &changes)?;
    Ok(job)
}

/// Returns the job.
pub fn job(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    JOB.with_step(move |tx, work| step(tx, &home, work))
}

/// Returns true if an event is to be redacted: messages and joins.
fn is_meant(event: &Event, order: &Order) -> bool {
    let said = matches!(event.event_type.as_str(), types::MESSAGE | types::ENCRYPTED);
    let joined = event.membership == Some(Membership::Join);
    (said || joined)
        && order.before_ts.is_none_or(|before| before == Millis::ZERO || event.ts <= before)
        && order.after_ts.is_none_or(|after| after == Millis::ZERO || event.ts >= after)
}

fn step(
    tx: &mut Tx<'_>,
    home: &Home,
    work: Work<'_, Order, Progress>,
) -> Result<Step<Progress, Outcome>, StepError> {
    let Work { payload: order, mut progress, mut done, now, .. } = work;
    let Some(room_id) = order.rooms.get(progress.rooms_done) else {
        return Ok(Step::Done { result: progress.outcome, done });
    };
    let Some(mut room) = rooms::find(tx, room_id)? else {
        return Err(StepError::Hopeless(format!("Unknown room {room_id}")));
    };
    let limit = order.limit.filter(|limit| *limit > 0).unwrap_or(LIMIT);
    let before_pos = progress.before_pos.unwrap_or(Pos::END);
    let batch = events::of_sender(tx, &order.user_id, room.num, before_pos, STEP_EVENTS)?;
    let mut room_done = batch.len() < usize::try_from(STEP_EVENTS).unwrap_or(0);
    for target in &batch {
        progress.before_pos = Some(target.pos);
        if !is_meant(target, order) {
            continue;
        }
        if progress.found == limit {
            room_done = true;
            break;
        }
        progress.found += 1;
        if target.redacted_by.is_some() {
            continue;
        }
        match redact(tx, home, &mut room, target, order, now) {
            Ok(()) => {}
            Err(Error::Db(error)) => return Err(error.into()),
            Err(refused) => {
                progress.outcome.failed_redactions.insert(target.event_id.clone(), refused.to_string());
            }
        }
    }
    if room_done {
        progress.rooms_done += 1;
        progress.before_pos = None;
        progress.found = 0;
        done += 1;
    }
    Ok(Step::More { progress, done })
}

/// Redacts one event. The user's own redactions bypass the rules of the room, since the user may have been kicked.
fn redact(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut rooms::Room,
    target: &Event,
    order: &Order,
    now: Millis,
) -> Result<(), Error> {
    let sender = order.redacted_by.as_deref().unwrap_or(&order.user_id);
    if order.redacted_by.is_some() {
        let member = memberships::find(tx, sender, room.num)?;
        if member.is_none_or(|member| member.membership != Membership::Join) {
            let text = format!("403: User {sender} not in room {} (None)", room.room_id);
            return Err(Error::Forbidden(text));
        }
        if !crate::power::may_redact(tx, room, sender)? {
            return Err(Error::Forbidden("403: You don't have permission to redact events".to_owned()));
        }
    }
    let (reason, bypass_auth) = (order.reason.as_deref(), order.redacted_by.is_none());
    let redaction = Redaction { sender, target, reason, bypass_auth };
    redaction::redact_as(tx, home, room, redaction, now).map(|_| ())
}
