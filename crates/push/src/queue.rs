//! The push queue: claims due pushers, computes their notifications, and delivers them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reeve_accounts::pushers::are_told;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Millis, Pos, RoomNum, random};
use reeve_outgoing::Mail;
use reeve_rooms::{Error, alerts};
use reeve_store::push_queue::{self, Claimed, Progress};
use reeve_store::{stream, users};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::gateway::{self, Failure, Notification, Outcome};
use crate::{Inner, mail};

/// Maximum number of pushers in progress.
const AT_ONCE: usize = 64;
/// Interval at which due pushers are looked up without a notification: finds retries.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The lease of a claim: a process that makes no progress in this time counts as dead, and another claims the
/// pusher. Far longer than a request.
const LEASE_MS: i64 = 120_000;
/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE_MS: i64 = 1000;
/// The longest pause.
const MAX_PAUSE_MS: i64 = 3_600_000;
/// Notifications that could not be delivered for this time are given up.
const GIVE_UP_MS: i64 = 24 * 3_600_000;
/// Number of notifications that are read together in search of unread ones.
const SCAN: i64 = 200;
/// Maximum number of unread messages in a mail.
const MAX_IN_MAIL: usize = 100;

/// Works until stopped; then pushers in progress are released.
pub(crate) async fn run(inner: Arc<Inner>, mut stop: watch::Receiver<bool>) {
    let mut working = JoinSet::new();
    loop {
        while working.try_join_next().is_some() {}
        let free = AT_ONCE.saturating_sub(working.len());
        let taken = take(&inner, free).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the queue of pushers cannot be read");
            Vec::new()
        });
        for (claim, claimed) in taken {
            working.spawn(work(Arc::clone(&inner), claim, claimed, stop.clone()));
        }
        inner.metrics.active.set(i64::try_from(working.len()).unwrap_or(i64::MAX));
        tokio::select! {
            () = stopped(&mut stop) => break,
            () = inner.marked.notified() => {}
            Some(_) = working.join_next() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    while working.join_next().await.is_some() {}
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A closed channel counts as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Claims due pushers.
async fn take(inner: &Inner, most: usize) -> Result<Vec<(String, Claimed)>, DbError> {
    let now = inner.clock.now();
    if most == 0 || !inner.db.read(move |tx| push_queue::is_due(tx, now)).await? {
        return Ok(Vec::new());
    }
    let (claim, most) = (random::letters(16), i64::try_from(most).unwrap_or(1));
    let name = claim.clone();
    let claimed =
        inner.db.write(move |tx| push_queue::claim(tx, &name, now, now.plus(LEASE_MS), most)).await?;
    Ok(claimed.into_iter().map(|claimed| (claim.clone(), claimed)).collect())
}

/// The next step of a pusher.
enum Plan {
    /// The claim was lost, or the pusher was deleted.
    Lost,
    /// A delivery, possibly of nothing, after which the pusher's position advances.
    Go(Message, Step),
}

/// The message to deliver.
enum Message {
    /// Nothing to deliver.
    Nothing,
    /// A request to a push gateway.
    Gateway(Value),
    /// An e-mail.
    Mail(Box<Mail>),
}

/// The state of a pusher after a delivery.
#[derive(Clone)]
struct Step {
    progress: Progress,
    /// The end of the stream at the time of planning.
    end: Pos,
    /// The number of marks at the time of planning.
    marks: i64,
    /// The time of the next look, although everything was delivered that can be delivered now.
    next: Option<Millis>,
    /// The rooms in the mail, with their new waits.
    mailed: BTreeMap<RoomNum, i64>,
}

fn plan(tx: &ReadTx<'_>, inner: &Inner, claim: &str, claimed: &Claimed, now: Millis) -> Result<Plan, Error> {
    let Some(marks) = push_queue::marks(tx, claimed.num, claim)? else { return Ok(Plan::Lost) };
    let end = stream::current(tx)?;
    let step = |pos, unread| {
        let progress = Progress { pos, unread };
        Step { progress, end, marks, next: None, mailed: BTreeMap::new() }
    };
    let told = claimed.told_unread;
    let reader = match users::by_num(tx, claimed.user_num)? {
        Some(user) if claimed.pusher.enabled && are_told(tx, &user, now)? => user,
        _ => return Ok(Plan::Go(Message::Nothing, step(end, told))),
    };
    if claimed.pusher.kind == "email" {
        let Some((_, style)) = &inner.mailing else { return Ok(Plan::Go(Message::Nothing, step(end, told))) };
        let alerts = alerts::find(tx, &reader, claimed.last_pos, end, MAX_IN_MAIL, SCAN, now)?;
        return Ok(match mail::due(tx, claimed.num, &alerts.found)? {
            None => Plan::Go(Message::Nothing, step(alerts.upto, told)),
            Some(due) if due > now => {
                Plan::Go(Message::Nothing, Step { next: Some(due), ..step(claimed.last_pos, told) })
            }
            Some(_) => {
                let mail = mail::write(&inner.home, style, &reader, claimed, &alerts.found, now)?;
                let mailed = mail::waits(tx, claimed.num, &alerts.found, now)?;
                Plan::Go(Message::Mail(Box::new(mail)), Step { mailed, ..step(alerts.upto, told) })
            }
        });
    }
    let alerts = alerts::find(tx, &reader, claimed.last_pos, end, 1, SCAN, now)?;
    let alert = alerts.found.first();
    if alert.is_none() && alerts.upto < end {
        return Ok(Plan::Go(Message::Nothing, step(alerts.upto, told)));
    }
    let unread = alerts::badge(tx, &reader, inner.settings.unread_by_room)?;
    if alert.is_none() && unread == told {
        return Ok(Plan::Go(Message::Nothing, step(end, unread)));
    }
    let (user_id, include_content) = (&*reader.user_id, inner.settings.include_content);
    let notification = Notification { claimed, user_id, alert, unread, include_content };
    Ok(Plan::Go(Message::Gateway(notification.body()), step(alerts.upto, unread)))
}

/// Delivers the notifications of a claimed pusher, one after the other.
async fn work(inner: Arc<Inner>, claim: String, mut claimed: Claimed, mut stop: watch::Receiver<bool>) {
    loop {
        let now = inner.clock.now();
        let (planner, planned, name) = (Arc::clone(&inner), claimed.clone(), claim.clone());
        let (message, step) = match inner.db.read(move |tx| plan(tx, &planner, &name, &planned, now)).await {
            Ok(Plan::Lost) => return,
            Ok(Plan::Go(message, step)) => (message, step),
            Err(error) => {
                tracing::error!(%error, pusher = claimed.num, "the notifications of a pusher cannot be read");
                return put_off(&inner, claim, &claimed).await;
            }
        };
        let outcome = tokio::select! {
            outcome = tell(&inner, &claimed, message) => outcome,
            () = stopped(&mut stop) => {
                return write(&inner, &claimed, move |tx, num| push_queue::release(tx, num, &claim, now)).await;
            }
        };
        match outcome {
            None => {}
            Some(Outcome::Delivered) => inner.metrics.count(&claimed.pusher.kind, "delivered"),
            Some(Outcome::Rejected) => return reject(&inner, claim, &claimed).await,
            Some(Outcome::Failed(failure)) => return fail(&inner, claim, &claimed, step, failure).await,
        }
        match proceed(&inner, &claim, claimed.num, &step).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, pusher = claimed.num, "the progress of a pusher cannot be stored");
                return;
            }
        }
        claimed.last_pos = step.progress.pos;
        claimed.told_unread = step.progress.unread;
        (claimed.failures, claimed.failing_since_ts) = (0, None);
    }
}

async fn tell(inner: &Inner, claimed: &Claimed, message: Message) -> Option<Outcome> {
    match message {
        Message::Nothing => None,
        Message::Gateway(body) => Some(gateway::tell(&inner.outgoing, &inner.gateways, claimed, &body).await),
        Message::Mail(mail) => {
            let (mailer, _) = inner.mailing.as_ref()?;
            let sent = mailer.send(&mail).await;
            Some(sent.map_or_else(|reason| Outcome::Failed(Failure::Other(reason)), |()| Outcome::Delivered))
        }
    }
}

/// Stores the progress of a pusher. Returns true if there is more to deliver; otherwise the pusher is released.
async fn proceed(inner: &Inner, claim: &str, num: i64, step: &Step) -> Result<bool, DbError> {
    let now = inner.clock.now();
    let (claim, step) = (claim.to_owned(), step.clone());
    let write = move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        if push_queue::marks(tx, num, &claim)?.is_none() {
            return Ok(false);
        }
        for (room, wait) in &step.mailed {
            push_queue::set_mailed(tx, num, *room, now, *wait)?;
        }
        if step.progress.pos < step.end && step.next.is_none() {
            push_queue::advance(tx, num, &claim, step.progress, now.plus(LEASE_MS))?;
            return Ok(true);
        }
        push_queue::settle(tx, num, &claim, step.progress, step.marks, step.next, now)?;
        Ok(false)
    };
    inner.db.write(write).await
}

/// Releases a pusher; if that fails, the claim ends with its lease.
async fn write(
    inner: &Inner,
    claimed: &Claimed,
    write: impl Fn(&mut Tx<'_>, i64) -> Result<(), DbError> + Send + 'static,
) {
    let num = claimed.num;
    if let Err(error) = inner.db.write(move |tx| write(tx, num)).await {
        tracing::warn!(%error, pusher = num, "a pusher cannot be released");
    }
}

async fn reject(inner: &Inner, claim: String, claimed: &Claimed) {
    inner.metrics.count(&claimed.pusher.kind, "rejected");
    tracing::info!(
        pusher = claimed.num,
        app_id = claimed.pusher.app_id,
        "a push gateway rejected the key of a pusher, which is deleted"
    );
    write(inner, claimed, move |tx, num| push_queue::remove(tx, num, &claim)).await;
}

async fn fail(inner: &Inner, claim: String, claimed: &Claimed, step: Step, failure: Failure) {
    let now = inner.clock.now();
    let (pusher, app_id, kind) = (claimed.num, &*claimed.pusher.app_id, &*claimed.pusher.kind);
    let failures = claimed.failures + 1;
    if claimed.failing_since_ts.is_some_and(|since| now.since(since) >= GIVE_UP_MS) {
        inner.metrics.count(kind, "given_up");
        tracing::warn!(
            pusher,
            app_id,
            reason = %failure,
            "notifications could not be delivered for a day and are skipped"
        );
        let progress = Progress { pos: step.end, unread: claimed.told_unread };
        return write(inner, claimed, move |tx, num| {
            push_queue::settle(tx, num, &claim, progress, step.marks, None, now)
        })
        .await;
    }
    match failure {
        Failure::Inside => {
            inner.metrics.count(kind, "refused");
            tracing::warn!(pusher, app_id, failures, "no notification was sent: {failure}");
        }
        Failure::Other(reason) => {
            inner.metrics.count(kind, "failed");
            tracing::info!(pusher, app_id, reason, failures, "a notification could not be delivered");
        }
    }
    put_off(inner, claim, claimed).await;
}

/// Postpones a pusher after a failure.
async fn put_off(inner: &Inner, claim: String, claimed: &Claimed) {
    let now = inner.clock.now();
    let until = now.plus(pause(claimed.failures));
    write(inner, claimed, move |tx, num| push_queue::fail(tx, num, &claim, now, until)).await;
}

/// The pause of a pusher after `failures` failures, in milliseconds.
fn pause(failures: i64) -> i64 {
    FIRST_PAUSE_MS.saturating_mul(1 << failures.clamp(0, 30)).min(MAX_PAUSE_MS)
}
