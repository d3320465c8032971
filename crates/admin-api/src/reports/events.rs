//! Reports of events.

use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply, shape};
use reeve_model::Scope;
use reeve_rooms::Error;
use reeve_store::reports::{self, EventFilter, EventReport};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Page, report_id};
use crate::paging;
use crate::rooms::stored;

const MISSING: &str = "Event report not found";
const ERRORS: &[(u16, &str, &str)] =
    &[(400, "M_INVALID_PARAM", "the id is not a number"), (404, "M_NOT_FOUND", "there is no such report")];

/// A report of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventReportView {
    id: i64,
    /// The time of the report, in milliseconds.
    received_ts: i64,
    room_id: String,
    event_id: String,
    /// The reporter.
    user_id: String,
    /// The severity, from -100 (worst) to 0.
    #[schema(required)]
    score: Option<i64>,
    #[schema(required)]
    reason: Option<String>,
    /// The sender of the event.
    sender: String,
    /// The canonical alias of the room.
    #[schema(required)]
    canonical_alias: Option<String>,
    /// The name of the room.
    #[schema(required)]
    name: Option<String>,
}

impl From<EventReport> for EventReportView {
    fn from(report: EventReport) -> Self {
        Self {
            id: report.id,
            received_ts: report.received_ts.get(),
            room_id: report.room_id,
            event_id: report.event_id,
            user_id: report.user_id,
            score: report.score,
            reason: report.reason,
            sender: report.sender,
            canonical_alias: report.canonical_alias,
            name: report.name,
        }
    }
}

/// A page of reports of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventReportPage {
    event_reports: Vec<EventReportView>,
    /// The number of reports that match the filter.
    total: i64,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<i64>,
}

/// A report of an event, with the event itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportedEvent {
    #[serde(flatten)]
    report: EventReportView,
    /// The event as it is stored, even if redacted.
    #[schema(value_type = Object)]
    event_json: Value,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_synapse/admin/v1/event_reports", list)
            .access(Access::Admin(Scope::ReportsRead))
            .id("listEventReports")
            .summary("Lists reports of events, the latest first")
            .query(paging::params("reports").into_iter().chain([
                paging::newest_first(),
                Param::text("room_id", "substring of the room id"),
                Param::text("user_id", "substring of the reporter's user id"),
                Param::text("event_sender_user_id", "the user id of the event's sender"),
            ]))
            .returns::<EventReportPage>(200),
        Route::get("/_synapse/admin/v1/event_reports/{report_id}", get)
            .access(Access::Admin(Scope::ReportsRead))
            .id("getEventReport")
            .summary("Returns a report of an event")
            .returns::<ReportedEvent>(200)
            .errors(ERRORS),
        Route::delete("/_synapse/admin/v1/event_reports/{report_id}", delete)
            .access(Access::Admin(Scope::ReportsWrite))
            .id("deleteEventReport")
            .returns::<shape::Empty>(200)
            .summary("Deletes a report of an event")
            .errors(ERRORS),
    ]
}

async fn list(call: Call) -> Answer {
    let page = Page::of(&call)?;
    let text = |name| call.query.ascii(name).map(Option::unwrap_or_default);
    let filter = EventFilter {
        room_id: text("room_id")?,
        user_id: text("user_id")?,
        sender: text("event_sender_user_id")?,
    };
    let Page { paging, backwards } = page;
    let (reports, total) = call.read(move |tx| reports::events(tx, &filter, backwards, paging)).await?;
    reply::ok(&EventReportPage {
        next_token: page.next(reports.len(), total),
        event_reports: reports.into_iter().map(EventReportView::from).collect(),
        total,
    })
}

async fn get(call: Call) -> Answer {
    let id = report_id(&call)?.ok_or_else(|| MatrixError::not_found(MISSING))?;
    let report = call
        .read(move |tx| -> Result<_, Error> {
            let report = reports::event(tx, id)?.ok_or(Error::NotFound(MISSING))?;
            // An event that was purged meanwhile is left out.
            let event = stored(tx, &report.event_id, |ts| json!({ "age_ts": ts }))?.unwrap_or_default();
            Ok(ReportedEvent { report: report.into(), event_json: Value::Object(event) })
        })
        .await?;
    reply::ok(&report)
}

async fn delete(call: Call) -> Answer {
    let id = report_id(&call)?.ok_or_else(|| MatrixError::not_found(MISSING))?;
    let ctx = call.admin_ctx()?;
    call.write(move |tx| -> Result<_, Error> {
        let report = reports::event(tx, id)?.ok_or(Error::NotFound(MISSING))?;
        reports::delete_event(tx, id)?;
        let changes = json!({ "id": id, "event_id": report.event_id, "user_id": report.user_id });
        Ok(reeve_accounts::audit::record(tx, &ctx, "event_report.delete", &report.room_id, &changes)?)
    })
    .await?;
    reply::empty()
}
