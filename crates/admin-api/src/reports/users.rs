//! Reports of users.

use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply, shape};
use reeve_model::Scope;
use reeve_rooms::Error;
use reeve_store::reports::{self, UserFilter, UserReport};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Page, report_id};
use crate::paging;

const MISSING: &str = "User report not found";
const ERRORS: &[(u16, &str, &str)] =
    &[(400, "M_INVALID_PARAM", "the id is not a number"), (404, "M_NOT_FOUND", "there is no such report")];

/// A report of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserReportView {
    id: i64,
    /// The time of the report, in milliseconds.
    received_ts: i64,
    /// The reported user.
    target_user_id: String,
    /// The reporter.
    user_id: String,
    reason: String,
}

impl From<UserReport> for UserReportView {
    fn from(report: UserReport) -> Self {
        Self {
            id: report.id,
            received_ts: report.received_ts.get(),
            target_user_id: report.target_user_id,
            user_id: report.user_id,
            reason: report.reason,
        }
    }
}

/// A page of reports of users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserReportPage {
    user_reports: Vec<UserReportView>,
    /// The number of reports that match the filter.
    total: i64,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<i64>,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_synapse/admin/v1/user_reports", list)
            .access(Access::Admin(Scope::ReportsRead))
            .id("listUserReports")
            .summary("Lists reports of users, the latest first")
            .query(paging::params("reports").into_iter().chain([
                paging::newest_first(),
                Param::text("user_id", "substring of the reporter's user id"),
                Param::text("target_user_id", "substring of the reported user id"),
            ]))
            .returns::<UserReportPage>(200),
        Route::get("/_synapse/admin/v1/user_reports/{report_id}", get)
            .access(Access::Admin(Scope::ReportsRead))
            .id("getUserReport")
            .summary("Returns a report of a user")
            .returns::<UserReportView>(200)
            .errors(ERRORS),
        Route::delete("/_synapse/admin/v1/user_reports/{report_id}", delete)
            .access(Access::Admin(Scope::ReportsWrite))
            .id("deleteUserReport")
            .returns::<shape::Empty>(200)
            .summary("Deletes a report of a user")
            .errors(ERRORS),
    ]
}

async fn list(call: Call) -> Answer {
    let page = Page::of(&call)?;
    let text = |name| call.query.ascii(name).map(Option::unwrap_or_default);
    let filter = UserFilter { user_id: text("user_id")?, target_user_id: text("target_user_id")? };
    let Page { paging, backwards } = page;
    let (reports, total) = call.read(move |tx| reports::users(tx, &filter, backwards, paging)).await?;
    reply::ok(&UserReportPage {
        next_token: page.next(reports.len(), total),
        user_reports: reports.into_iter().map(UserReportView::from).collect(),
        total,
    })
}

async fn get(call: Call) -> Answer {
    let id = report_id(&call)?.ok_or_else(|| MatrixError::not_found(MISSING))?;
    let report = call.read(move |tx| reports::user(tx, id)).await?;
    let report = report.ok_or_else(|| MatrixError::not_found(MISSING))?;
    reply::ok(&UserReportView::from(report))
}

async fn delete(call: Call) -> Answer {
    let id = report_id(&call)?.ok_or_else(|| MatrixError::not_found(MISSING))?;
    let ctx = call.admin_ctx()?;
    call.write(move |tx| -> Result<_, Error> {
        let report = reports::user(tx, id)?.ok_or(Error::NotFound(MISSING))?;
        reports::delete_user(tx, id)?;
        let changes = json!({ "id": id, "user_id": report.user_id });
        let target = report.target_user_id;
        Ok(reeve_accounts::audit::record(tx, &ctx, "user_report.delete", &target, &changes)?)
    })
    .await?;
    reply::empty()
}
