//! Reports of all kinds as work: who deals with them, their resolution, notes, and acts on what was reported.

mod act;
mod get;
mod list;
mod note;
mod update;

use reeve_app::{Head, MatrixError, Route};
use reeve_model::{ReportKind, ReportState, Resolution};
use reeve_store::report_work::{Report, ReportId, Subject};
use serde::Serialize;
use utoipa::ToSchema;

const PATH: &str = "/_reeve/admin/v1/reports";
const ONE: &str = "/_reeve/admin/v1/reports/{report_kind}/{report_id}";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such report");
const CHANGED: (u16, &str, &str) = (409, "M_UNKNOWN", "the report has had more changes than `changes` says");

pub(super) fn routes() -> Vec<Route> {
    vec![list::route(), get::route(), update::route(), note::route(), act::route()]
}

/// The report that the path names.
fn id_of(call: &Head) -> Result<ReportId, MatrixError> {
    let word = call.params.get("report_kind");
    let kind = word.parse().map_err(|_| {
        MatrixError::invalid_param(format!(
            "'{word}' is not a kind of report, which are event, room and user"
        ))
    })?;
    // No report has the number 0.
    Ok(ReportId { kind, id: super::report_id(call)?.unwrap_or_default() })
}

/// A report of an event, a room or a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportView {
    /// The kind of the reported thing: `event`, `room` or `user`.
    #[schema(value_type = String, example = "event")]
    kind: ReportKind,
    /// The number among the reports of the kind, as in the API of Synapse.
    id: i64,
    /// The time of the report, in milliseconds.
    received_ts: i64,
    /// The user who reported.
    reporter: String,
    #[schema(required)]
    reason: Option<String>,
    /// The severity of an event, from -100 (worst) to 0.
    #[schema(required)]
    score: Option<i64>,
    /// The reported room, or that of the reported event.
    #[schema(required)]
    room_id: Option<String>,
    /// The reported event.
    #[schema(required)]
    event_id: Option<String>,
    /// The reported user, or the sender of the reported event.
    #[schema(required)]
    reported_user: Option<String>,
    /// `resolved` if there is a resolution, else `assigned` if there is an assignee, else `open`.
    #[schema(value_type = String, example = "open")]
    state: ReportState,
    /// The user id of the administrator who deals with it.
    #[schema(required)]
    assignee: Option<String>,
    /// `acted`, `dismissed` or `duplicate`.
    #[schema(required, value_type = Option<String>, example = "dismissed")]
    resolution: Option<Resolution>,
    /// The number of changes of assignee and resolution, which a change must name.
    changes: i64,
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        let view = Self {
            kind: report.id.kind,
            id: report.id.id,
            received_ts: report.received_ts.get(),
            reporter: report.reporter,
            reason: report.reason,
            score: None,
            room_id: None,
            event_id: None,
            reported_user: None,
            state: report.state,
            assignee: report.assignee,
            resolution: report.resolution,
            changes: report.changes,
        };
        match report.subject {
            Subject::Event { room_id, event_id, sender, score } => Self {
                score,
                room_id: Some(room_id),
                event_id: Some(event_id),
                reported_user: Some(sender),
                ..view
            },
            Subject::Room { room_id } => Self { room_id: Some(room_id), ..view },
            Subject::User { user_id } => Self { reported_user: Some(user_id), ..view },
        }
    }
}
