//! Reads one report.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::{ActorKind, Scope};
use reeve_rooms::reports::work;
use reeve_store::report_work::{self, Note, Subject};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{MISSING, ReportView, id_of};
use crate::rooms::stored;

/// A note on a report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoteView {
    /// When it was written, in milliseconds.
    ts: i64,
    /// The kind of the actor who wrote it, as in the audit log.
    #[schema(value_type = String)]
    author_kind: ActorKind,
    /// The id of that actor among those of the kind.
    author: String,
    note: String,
}

impl From<Note> for NoteView {
    fn from(note: Note) -> Self {
        Self { ts: note.ts.get(), author_kind: note.author_kind, author: note.author, note: note.note }
    }
}

/// A report with its notes and the reported event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportDetails {
    #[serde(flatten)]
    report: ReportView,
    /// The notes, the oldest first.
    notes: Vec<NoteView>,
    /// The reported event as it is stored, even if redacted; null if it was purged, or if none was reported.
    #[schema(required, value_type = Option<Object>)]
    event: Option<Value>,
}

pub(super) fn route() -> Route {
    Route::read(super::ONE, handle)
        .access(Access::Admin(Scope::ReportsRead))
        .id("getReport")
        .summary("Returns a report with its notes and the reported event")
        .returns::<ReportDetails>(200)
        .errors(&[(400, "M_INVALID_PARAM", "the kind or the number is malformed"), MISSING])
}

fn handle(call: &Reading<'_>) -> Answer {
    let id = id_of(call)?;
    let report = work::find(call.tx, id)?;
    let event = match &report.subject {
        Subject::Event { event_id, .. } => stored(call.tx, event_id, |ts| json!({ "age_ts": ts }))?,
        Subject::Room { .. } | Subject::User { .. } => None,
    };
    let notes = report_work::notes(call.tx, id)?.into_iter().map(NoteView::from).collect();
    reply::ok(&ReportDetails { report: report.into(), notes, event: event.map(Value::Object) })
}
