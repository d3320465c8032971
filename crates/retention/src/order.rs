//! Orders of administrators.

use reeve_accounts::{audit, rights};
use reeve_db::Tx;
use reeve_model::{Actor, Ctx, Millis, RetentionRule, Scope};
use reeve_store::jobs;
use serde_json::json;

use crate::error::Error;
use crate::job::{JOB, Orderer, Payload};
use crate::settings::{DAY_MS, Settings};

/// The time before which an order deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutoff {
    /// So many milliseconds ago.
    Age(i64),
    /// This time.
    Time(Millis),
}

/// An order of a run.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The rule.
    pub rule: RetentionRule,
    /// The time, if it is another than that of the settings.
    pub cutoff: Option<Cutoff>,
    /// True to count only.
    pub dry_run: bool,
}

/// Returns the scope for the things that a rule deletes, which its order needs beside that of its route.
pub(crate) const fn scope_of(rule: RetentionRule) -> Scope {
    match rule {
        RetentionRule::Devices | RetentionRule::IpAddresses => Scope::UsersWrite,
        RetentionRule::Media | RetentionRule::PreviewMedia => Scope::MediaWrite,
        RetentionRule::Messages => Scope::RoomsWrite,
        RetentionRule::Guests | RetentionRule::UnusedAccounts => Scope::UsersDeactivate,
        RetentionRule::Audit => Scope::AuditRead,
    }
}

/// Orders a run and returns the id of its job. The actor needs the scope for the things that the rule deletes; things of
/// accounts above the actor are kept. What is less than a day old is never deleted by order, so that seconds taken for
/// milliseconds do no harm. The audit log bears witness about administrators, so that only the command line can delete more
/// of it than the settings say.
pub fn order(tx: &mut Tx<'_>, ctx: &Ctx, settings: &Settings, order: Order) -> Result<String, Error> {
    let Order { rule, dry_run, .. } = order;
    rights::check_holds(ctx, scope_of(rule))?;
    let before = cutoff(ctx, settings, order)?;
    if let Some(job) = jobs::unfinished(tx, rule.as_str(), JOB.name())? {
        return Err(Error::Running(job.id));
    }
    let payload = Payload {
        before,
        lifetimes: settings.messages.lifetimes,
        dry_run,
        orderer: ctx.actor.as_ref().map(|actor| Orderer {
            kind: actor.kind(),
            id: actor.id().to_owned(),
            scopes: ctx.scopes,
        }),
    };
    let job = JOB.enqueue(tx, rule.as_str(), &payload, 0, ctx.now)?;
    if !dry_run {
        let changes = json!({ "job": job, "before_ts": before });
        audit::record(tx, ctx, "retention.order", rule.as_str(), &changes)?;
    }
    Ok(job)
}

/// Returns the time before which an order deletes.
fn cutoff(ctx: &Ctx, settings: &Settings, order: Order) -> Result<Millis, Error> {
    let Order { rule, cutoff, dry_run } = order;
    if rule == RetentionRule::Messages {
        return match cutoff {
            Some(_) => Err(Error::OwnLifetimes),
            None if dry_run || settings.messages.enabled => Ok(ctx.now),
            None => Err(Error::Disabled),
        };
    }
    let by_settings = settings.age_ms(rule).map(|age| ctx.now.minus(age));
    let before = match cutoff {
        None => by_settings.ok_or(Error::NoTime)?,
        Some(Cutoff::Age(age)) => ctx.now.minus(age),
        Some(Cutoff::Time(time)) => time,
    };
    if before > ctx.now.minus(DAY_MS) {
        return Err(Error::TooYoung);
    }
    let is_kept = by_settings.is_none_or(|by_settings| before > by_settings);
    if rule == RetentionRule::Audit && is_kept && !dry_run && ctx.actor != Some(Actor::Cli) {
        return Err(Error::KeepsAudit);
    }
    Ok(before)
}
