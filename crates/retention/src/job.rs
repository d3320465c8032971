//! The run of a rule, as a job: a walk over what is old, in short steps.

use std::sync::Arc;

use reeve_accounts::{Policy, audit as log};
use reeve_db::{DbError, Tx};
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{ActorKind, Ctx, Millis, RetentionRule, Scopes};
use reeve_rooms::lifetimes::{Lifetimes, Walk};
use reeve_store::jobs;
use reeve_store::media::UnusedKind;
use reeve_store::retention::{self, LastRun};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::accounts::Who;
use crate::run::{Counts, NAME, Part, Run};
use crate::{accounts, addresses, audit, devices, media};

/// The job. Its subject is the word of the rule.
pub(crate) const JOB: JobKind<Payload, Progress, Outcome> = JobKind::new(NAME);
/// Maximum number of rooms that one step looks at, and of events of a room.
const STEP_ROOMS: i64 = 50;
const STEP_EVENTS: i64 = 200;

/// The task of a run.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Payload {
    /// The time before which it deletes. For messages, the time from which their lifetimes are counted back.
    pub(crate) before: Millis,
    /// The lifetimes of messages on this server, at the time of the order.
    pub(crate) lifetimes: Lifetimes,
    /// True if it counts only.
    pub(crate) dry_run: bool,
    /// The administrator who ordered it; `None` if the server did.
    pub(crate) orderer: Option<Orderer>,
}

/// An administrator who ordered a run.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Orderer {
    pub(crate) kind: ActorKind,
    /// The id of the actor among those of the kind.
    pub(crate) id: String,
    /// The scopes at the time of the order.
    pub(crate) scopes: Scopes,
}

/// The progress of a run.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Progress {
    counts: Counts,
    /// The place of the next step in the walk, in the form of the rule; `None` at the beginning.
    place: Option<Value>,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Outcome {
    /// The rule.
    pub rule: RetentionRule,
    /// The time before which it deleted; for messages, the time from which their lifetimes were counted back.
    pub before_ts: Millis,
    /// True if it only counted.
    pub dry_run: bool,
    /// The number of things that it deleted, or would have.
    pub deleted: i64,
    /// The number of things that it kept although they are as old.
    pub kept: i64,
}

/// Returns the job.
pub fn job(server_name: &Arc<str>, policy: &Policy) -> Kind {
    let (server_name, policy) = (Arc::clone(server_name), policy.clone());
    JOB.with_step(move |tx, work| step(tx, &server_name, &policy, work))
}

fn step(
    tx: &mut Tx<'_>,
    server_name: &Arc<str>,
    policy: &Policy,
    work: Work<'_, Payload, Progress>,
) -> Result<Step<Progress, Outcome>, StepError> {
    let Work { subject, payload, progress, now, .. } = work;
    let rule: RetentionRule =
        subject.parse().map_err(|_| StepError::Hopeless(format!("there is no rule {subject}")))?;
    let scopes = payload.orderer.as_ref().map_or(Scopes::ALL, |orderer| orderer.scopes);
    let ctx = Ctx {
        now,
        server_name: Arc::clone(server_name),
        request_id: Arc::from(JOB.name()),
        ip: None,
        actor: None,
        scopes,
    };
    let run = Run { before: payload.before, dry_run: payload.dry_run, ctx, policy };
    let part = walk(tx, &run, rule, payload.lifetimes, progress.place)?;
    let counts = Counts {
        deleted: progress.counts.deleted + part.counts.deleted,
        kept: progress.counts.kept + part.counts.kept,
    };
    let done = counts.deleted + counts.kept;
    if let Some(place) = part.next {
        return Ok(Step::More { progress: Progress { counts, place: Some(place) }, done });
    }
    let Counts { deleted, kept } = counts;
    let result = Outcome { rule, before_ts: payload.before, dry_run: payload.dry_run, deleted, kept };
    if !payload.dry_run {
        end(tx, &run, payload.orderer.as_ref(), result)?;
    }
    Ok(Step::Done { result, done })
}

/// Does the next part of the walk of a rule.
fn walk(
    tx: &mut Tx<'_>,
    run: &Run<'_>,
    rule: RetentionRule,
    lifetimes: Lifetimes,
    place: Option<Value>,
) -> Result<Part<Value>, StepError> {
    match rule {
        RetentionRule::Devices => at(place, |place| devices::step(tx, run, place)),
        RetentionRule::Media => at(place, |place| media::step(tx, run, UnusedKind::Uploads, place)),
        RetentionRule::PreviewMedia => at(place, |place| media::step(tx, run, UnusedKind::Previews, place)),
        RetentionRule::Messages => at(place, |place| {
            let walk = Walk { lifetimes, at: run.before, dry_run: run.dry_run };
            let part = walk.step(tx, place.unwrap_or_default(), STEP_ROOMS, STEP_EVENTS)?;
            Ok(Part { counts: Counts { deleted: part.deleted, kept: 0 }, next: part.next })
        }),
        RetentionRule::Guests => at(place, |place| accounts::step(tx, run, Who::Guests, place)),
        RetentionRule::UnusedAccounts => at(place, |place| accounts::step(tx, run, Who::Unused, place)),
        RetentionRule::Audit => at(place, |place| audit::step(tx, run, place)),
        RetentionRule::IpAddresses => at(place, |place| addresses::step(tx, run, place)),
    }
}

/// Does a part of a walk, with its places in the form of the rule.
fn at<Place: DeserializeOwned + Serialize>(
    place: Option<Value>,
    step: impl FnOnce(Option<Place>) -> Result<Part<Place>, StepError>,
) -> Result<Part<Value>, StepError> {
    let place = place.map(serde_json::from_value).transpose();
    let place =
        place.map_err(|error| StepError::Hopeless(format!("the progress cannot be read: {error}")))?;
    let Part { counts, next } = step(place)?;
    let next = next.map(serde_json::to_value).transpose();
    let next =
        next.map_err(|error| DbError::Internal(format!("a place cannot be written as JSON: {error}")))?;
    Ok(Part { counts, next })
}

/// Remembers the end of a run, and audits what it did.
fn end(tx: &mut Tx<'_>, run: &Run<'_>, orderer: Option<&Orderer>, outcome: Outcome) -> Result<(), DbError> {
    let Outcome { rule, before_ts, deleted, kept, .. } = outcome;
    let job = jobs::unfinished(tx, rule.as_str(), JOB.name())?.map(|job| job.id).unwrap_or_default();
    let changes = json!({
        "job": job,
        "before_ts": before_ts,
        "deleted": deleted,
        "kept": kept,
        "ordered_by": orderer.map(|orderer| &orderer.id),
    });
    retention::set_last(tx, rule, &LastRun { job, before_ts, ended_ts: run.ctx.now, deleted, kept })?;
    if deleted > 0 {
        log::record(tx, &run.as_job(), "retention.run", rule.as_str(), &changes)?;
    }
    Ok(())
}
