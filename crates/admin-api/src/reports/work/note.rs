//! Adds a note to a report.

use http::StatusCode;
use reeve_app::{Access, Answer, Call, Route, body, reply, shape};
use reeve_model::Scope;
use reeve_rooms::reports::work;
use serde_json::json;

use super::{MISSING, id_of};
use crate::reeve::read::refuse_unknown;

body! {
    /// A note.
    pub(crate) struct AddReportNote {
        /// The text, in 1 to 4000 characters.
        #[schema(example = "Asked the sender to stop.")]
        note: String,
        ..unknown
    }
}

pub(super) fn route() -> Route {
    Route::post("/_reeve/admin/v1/reports/{report_kind}/{report_id}/notes", handle)
        .access(Access::Admin(Scope::ReportsWrite))
        .id("addReportNote")
        .summary("Adds a note to a report")
        .description("Notes are not changed; they are deleted with the report. Unknown keys are refused.")
        .takes::<AddReportNote>()
        .returns::<shape::Empty>(201)
        .errors(&[
            (400, "M_INVALID_PARAM", "the kind, the number, a key or the note is not valid"),
            (400, "M_TOO_LARGE", "the report has 100 notes"),
            MISSING,
        ])
}

async fn handle(mut call: Call) -> Answer {
    let id = id_of(&call)?;
    let body = call.take::<AddReportNote>().await?;
    refuse_unknown(&body.unknown)?;
    let (ctx, note) = (call.admin_ctx()?, body.note.read()?);
    call.write(move |tx| work::add_note(tx, &ctx, id, &note)).await?;
    Ok(reply::json(StatusCode::CREATED, &json!({})))
}
