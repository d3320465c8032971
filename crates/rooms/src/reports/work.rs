//! Work on reports: who deals with one, how it is resolved, and notes.

use reeve_accounts::audit;
use reeve_db::{ReadTx, Tx};
use reeve_model::{Actor, Ctx, Resolution, Scope};
use reeve_store::report_work::{self, Report, ReportId};
use reeve_store::{roles, users};
use serde_json::{Map, Value, json};

use crate::error::Error;

/// The largest number of notes on a report.
const MAX_NOTES: i64 = 100;
/// The longest note, in characters.
const MAX_NOTE: usize = 4000;

/// Returns a report.
pub fn find(tx: &ReadTx<'_>, id: ReportId) -> Result<Report, Error> {
    report_work::find(tx, id)?.ok_or(Error::NotFound("Report not found"))
}

/// Returns a report. [`Error::ReportChanged`] if its number of changes is another than the caller has seen.
pub(super) fn unchanged(tx: &ReadTx<'_>, id: ReportId, seen: i64) -> Result<Report, Error> {
    let report = find(tx, id)?;
    if report.changes == seen { Ok(report) } else { Err(Error::ReportChanged(report.changes)) }
}

/// The target of an audit entry about a report, such as `event/5`.
pub(super) fn name(ReportId { kind, id }: ReportId) -> String {
    format!("{kind}/{id}")
}

/// A change of a report; `None` keeps a value.
#[derive(Clone, Debug)]
pub struct Change {
    /// The number of changes of the report that the caller has seen.
    pub seen: i64,
    /// The administrator who deals with it, by user id.
    pub assignee: Option<Option<String>>,
    /// The resolution; `Some(None)` opens the report again.
    pub resolution: Option<Option<Resolution>>,
}

/// Refuses an assignee who cannot deal with reports.
fn check_assignee(tx: &ReadTx<'_>, user_id: &str) -> Result<(), Error> {
    let user = users::find(tx, user_id)?.filter(|user| !user.deactivated && !user.locked);
    let is_able = match &user {
        Some(user) => roles::scopes(tx, user)?.contains(Scope::ReportsWrite),
        None => false,
    };
    if is_able {
        return Ok(());
    }
    Err(Error::Invalid("The assignee must be an account in use whose role holds reports:write".to_owned()))
}

/// Changes a report and returns it. The first of several changes to what the callers have seen counts.
pub fn change(tx: &mut Tx<'_>, ctx: &Ctx, id: ReportId, change: &Change) -> Result<Report, Error> {
    let report = unchanged(tx, id, change.seen)?;
    let assignee = change.assignee.as_ref().unwrap_or(&report.assignee);
    let resolution = change.resolution.unwrap_or(report.resolution);
    let mut changes = Map::new();
    if *assignee != report.assignee {
        assignee.as_deref().map_or(Ok(()), |user_id| check_assignee(tx, user_id))?;
        changes.insert("assignee".to_owned(), json!(assignee));
    }
    if resolution != report.resolution {
        changes.insert("resolution".to_owned(), json!(resolution));
    }
    if changes.is_empty() {
        return Ok(report);
    }
    report_work::set(tx, id, assignee.as_deref(), resolution)?;
    audit::record(tx, ctx, "report.update", &name(id), &Value::Object(changes))?;
    find(tx, id)
}

/// Adds a note to a report.
pub fn add_note(tx: &mut Tx<'_>, ctx: &Ctx, id: ReportId, note: &str) -> Result<(), Error> {
    if note.trim().is_empty() || note.chars().count() > MAX_NOTE {
        return Err(Error::Invalid(format!("A note must have 1 to {MAX_NOTE} characters")));
    }
    find(tx, id)?;
    if report_work::count_notes(tx, id)? >= MAX_NOTES {
        return Err(reeve_accounts::Error::too_many("A report", MAX_NOTES, "notes").into());
    }
    let author = ctx.actor.as_ref().unwrap_or(&Actor::Server);
    report_work::insert_note(tx, id, author, note, ctx.now)?;
    Ok(audit::record(tx, ctx, "report.note", &name(id), &json!({}))?)
}
