//! Lists reports of all kinds.

use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use reeve_model::{Millis, ReportKind, ReportState, Scope};
use reeve_store::SortKey;
use reeve_store::report_work::{self, Filter, Place, ReportId};
use serde::Serialize;
use utoipa::ToSchema;

use super::ReportView;
use crate::reeve::{bad_from, cut, from, limit, page};

/// A page of reports, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportPage {
    reports: Vec<ReportView>,
    /// The number of reports that match the filter.
    total: i64,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn route() -> Route {
    Route::read(super::PATH, handle)
        .access(Access::Admin(Scope::ReportsRead))
        .id("listReports")
        .summary("Lists reports of events, rooms and users, the newest first")
        .query(
            [
                Param::choice("kind", ReportKind::WORDS, "only reports of this kind of thing"),
                Param::choice("state", ReportState::WORDS, "only reports in this state"),
                Param::text("assignee", "only reports with which the administrator of this user id deals"),
                Param::text("reporter", "only reports by this user"),
                Param::text("reported_user", "only reports of this user, or of events that this user sent"),
                Param::text("room_id", "only reports of this room, or of events in it"),
                Param::integer("from_ts", "only reports received at this time or later, in milliseconds"),
                Param::integer("until_ts", "only reports received before this time, in milliseconds"),
            ]
            .into_iter()
            .chain(page("reports")),
        )
        .returns::<ReportPage>(200)
        .errors(&[(
            400,
            "M_INVALID_PARAM",
            "a value is malformed, filters contradict each other, or `from` is not a `next_token` of this list",
        )])
}

/// Refuses filters that no report matches: a person who combines them expects something else.
fn check(filter: &Filter) -> Result<(), MatrixError> {
    let text = match (filter.kind, filter.state) {
        (Some(ReportKind::User), _) if !filter.room_id.is_empty() => "A report of a user has no room",
        (Some(ReportKind::Room), _) if !filter.reported.is_empty() => {
            "A report of a room has no reported user"
        }
        (_, Some(ReportState::Open)) if !filter.assignee.is_empty() => "An open report has no assignee",
        (Some(ReportKind::Event | ReportKind::Room | ReportKind::User) | None, _) => return Ok(()),
    };
    Err(MatrixError::invalid_param(text))
}

fn handle(call: &Reading<'_>) -> Answer {
    let text = |name| call.query.utf8(name).map(Option::unwrap_or_default);
    let time = |name| call.query.integer(name).map(|ts| ts.map(Millis::new));
    let filter = Filter {
        kind: call.query.choice("kind", ReportKind::WORDS)?,
        state: call.query.choice("state", ReportState::WORDS)?,
        assignee: text("assignee")?,
        reporter: text("reporter")?,
        reported: text("reported_user")?,
        room_id: text("room_id")?,
        from_ts: time("from_ts")?.unwrap_or(Millis::ZERO),
        until_ts: time("until_ts")?.unwrap_or(Millis::MAX),
    };
    check(&filter)?;
    let limit = limit(call)?;
    let from = from::<String>(call)?;
    let after = if from.id.is_empty() { None } else { Some(place(&from).ok_or_else(bad_from)?) };
    let (mut reports, total) = report_work::list(call.tx, &filter, after, limit + 1)?;
    let next_token = cut(&mut reports, limit).map(|last| {
        let ReportId { kind, id } = last.id;
        SortKey { ts: last.received_ts, id: format!("{kind}_{id}") }.to_string()
    });
    let reports = reports.into_iter().map(ReportView::from).collect();
    reply::ok(&ReportPage { reports, total, next_token })
}

/// Returns the place that a sort key, with a kind and a number, names.
fn place(key: &SortKey<String>) -> Option<Place> {
    let (kind, id) = key.id.split_once('_')?;
    Some(Place { received_ts: key.ts, id: ReportId { kind: kind.parse().ok()?, id: id.parse().ok()? } })
}
