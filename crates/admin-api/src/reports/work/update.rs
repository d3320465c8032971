//! Changes who deals with a report, and its resolution.

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{Resolution, Scope};
use reeve_rooms::reports::work::{self, Change};

use super::{CHANGED, MISSING, ReportView, id_of};
use crate::reeve::read::refuse_unknown;

body! {
    /// The new values of a report. Absent keys are not changed.
    pub(crate) struct UpdateReport {
        /// The `changes` of the report as it was read.
        #[schema(example = 0)]
        changes: i64,
        /// The user id of the administrator who deals with it; null for nobody.
        #[schema(example = "@moderator:example.org")]
        assignee: Option<String>,
        /// `acted`, `dismissed` or `duplicate`; null to open the report again.
        #[schema(example = "dismissed")]
        resolution: Option<String>,
        ..unknown
    }
}

pub(super) fn route() -> Route {
    Route::put(super::ONE, handle)
        .access(Access::Admin(Scope::ReportsWrite))
        .id("updateReport")
        .summary("Changes the assignee and the resolution of a report")
        .description(
            "The first of several changes that name the same `changes` counts; the others are refused with 409. Unknown \
             keys are refused.",
        )
        .takes::<UpdateReport>()
        .returns::<ReportView>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the kind, the number, a key, the assignee or the resolution is not valid"),
            MISSING,
            CHANGED,
        ])
}

/// The error for a value that is neither a text nor null.
fn not_a_text(key: &'static str) -> MatrixError {
    MatrixError::bad_json(format!("'{key}' must be a string or null"))
}

fn resolution(word: &str) -> Result<Resolution, MatrixError> {
    word.parse().map_err(|_| MatrixError::invalid_param(format!("'{word}' is not a resolution")))
}

async fn handle(mut call: Call) -> Answer {
    let id = id_of(&call)?;
    let body = call.take::<UpdateReport>().await?;
    refuse_unknown(&body.unknown)?;
    let seen = body.changes.read()?;
    let assignee = body.assignee.read_or(not_a_text)?;
    let word = body.resolution.read_or(not_a_text)?;
    let resolution = word.as_deref().map(resolution).transpose()?;
    let change = Change {
        seen,
        assignee: body.assignee.value().map(|_| assignee),
        resolution: body.resolution.value().map(|_| resolution),
    };
    let ctx = call.admin_ctx()?;
    let report = call.write(move |tx| work::change(tx, &ctx, id, &change)).await?;
    reply::ok(&ReportView::from(report))
}
