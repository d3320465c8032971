//! Records about the person: reports, and acts of administration.

use reeve_db::ReadTx;
use reeve_model::{ActorKind, Millis, ReportKind};
use reeve_store::SortKey;
use reeve_store::audit::{self, Entry, Filter};
use reeve_store::reports::{self as stored, PersonalReport};
use serde_json::Value;

use super::{PAGE, Page, Source, is_full, parsed};
use crate::error::Failure;
use crate::format::{Act, Report, ReportAbout};

/// A place in the reports of all kinds.
#[derive(Clone)]
pub(super) struct Reports {
    kind: ReportKind,
    after: SortKey<i64>,
}

impl Default for Reports {
    fn default() -> Self {
        Self::of(ReportKind::Event)
    }
}

impl Reports {
    fn of(kind: ReportKind) -> Self {
        Self { kind, after: SortKey::at(Millis::ZERO) }
    }

    /// Returns the place after some reports of the kind.
    fn after(&self, reports: &[PersonalReport]) -> Option<Self> {
        match (reports.last().filter(|_| is_full(reports)), self.kind) {
            (Some(last), kind) => Some(Self { kind, after: last.sort_key() }),
            (None, ReportKind::Event) => Some(Self::of(ReportKind::Room)),
            (None, ReportKind::Room) => Some(Self::of(ReportKind::User)),
            (None, ReportKind::User) => None,
        }
    }
}

/// Returns some of the reports that the person made, whole.
pub(super) fn reports(source: &Source, tx: &ReadTx<'_>, from: &Reports) -> Result<Page<Reports>, Failure> {
    let kind = from.kind;
    let rows = stored::made_by(tx, kind, &source.export.user_id, &from.after, PAGE)?;
    let next = from.after(&rows);
    let reports = rows.into_iter().map(|report| Report {
        kind,
        ts: report.received_ts,
        room_id: report.room_id,
        event_id: report.event_id,
        user_id: report.target_user_id,
        reason: report.reason,
        score: report.score,
        state: report.state,
        resolution: report.resolution,
    });
    Page::of(reports, next)
}

/// Returns some of the reports about the person that were resolved. Their times, like their words, could tell who made them.
pub(super) fn reports_about(
    source: &Source,
    tx: &ReadTx<'_>,
    from: &Reports,
) -> Result<Page<Reports>, Failure> {
    let kind = from.kind;
    let rows = stored::made_about(tx, kind, &source.export.user_id, &from.after, PAGE)?;
    let next = from.after(&rows);
    let reports = rows.into_iter().filter_map(|report| {
        let resolution = report.resolution?;
        Some(ReportAbout { kind, room_id: report.room_id, event_id: report.event_id, resolution })
    });
    Page::of(reports, next)
}

/// A place in the audit log: first in the acts on the account, then in those of the person on other things.
#[derive(Clone)]
pub(super) struct Acts {
    on_account: bool,
    before: SortKey<i64>,
}

impl Default for Acts {
    fn default() -> Self {
        Self { on_account: true, before: SortKey::at(Millis::MAX) }
    }
}

/// Returns some of the acts of administration, the newest first.
pub(super) fn acts(source: &Source, tx: &ReadTx<'_>, from: &Acts) -> Result<Page<Acts>, Failure> {
    let user_id = &source.export.user_id;
    let filter = if from.on_account {
        Filter { target: user_id.clone(), ..Filter::default() }
    } else {
        Filter { actor: user_id.clone(), actor_kind: Some(ActorKind::User), ..Filter::default() }
    };
    let rows = audit::list(tx, &filter, &from.before, PAGE)?;
    let next = match rows.last().filter(|_| is_full(&rows)) {
        Some(last) => Some(Acts { before: last.sort_key(), ..from.clone() }),
        None => from.on_account.then(|| Acts { on_account: false, ..Acts::default() }),
    };
    // That a report about the person was deleted says who made it, or that there was one.
    let is_shown = |entry: &Entry| entry.action != "user_report.delete";
    let is_new = |entry: &Entry| is_shown(entry) && (from.on_account || entry.target != *user_id);
    Page::of(rows.into_iter().filter(is_new).map(|entry| act(entry, user_id)), next)
}

fn act(entry: Entry, user_id: &str) -> Act {
    let on_account = entry.target == user_id;
    let by_person = entry.actor_kind == ActorKind::User && entry.actor == user_id;
    let mut changes = on_account.then(|| parsed(&entry.changes));
    if let Some(changes) = changes.as_mut().and_then(Value::as_object_mut)
        && entry.action == "threepid.move"
    {
        // The account that has the address now.
        changes.remove("to");
    }
    Act {
        ts: entry.ts,
        action: entry.action,
        on_account,
        by_person,
        actor_kind: entry.actor_kind,
        ip: entry.ip.filter(|_| by_person),
        changes,
    }
}
