//! Acts on what was reported.

use std::sync::Arc;

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_media::deeds::Progress;
use reeve_model::{ReportAct, Scope};
use reeve_rooms::reports::acts::{self, Order, Outcome};

use super::{CHANGED, ReportView, id_of};
use crate::reeve::read::refuse_unknown;

body! {
    /// An act on what was reported.
    pub(crate) struct ActOnReport {
        /// `redact`: redacts the event. `ban`: bans its sender from the room. `suspend`: suspends the account of the user, or of
        /// the sender of the event. `quarantine`: quarantines the media of the event.
        #[schema(example = "redact")]
        act: String,
        /// The `changes` of the report as it was read.
        #[schema(example = 0)]
        changes: i64,
        /// The reason of a redaction or a ban, which the room sees.
        reason?: String,
        /// True to resolve the report, as `acted`, in the same step.
        resolve?: bool,
        ..unknown
    }
}

pub(super) fn route() -> Route {
    Route::post("/_reeve/admin/v1/reports/{report_kind}/{report_id}/acts", handle)
        .access(Access::Admin(Scope::ReportsWrite))
        .id("actOnReport")
        .summary("Redacts, bans, suspends or quarantines what was reported")
        .description(
            "`redact` and `suspend` need the scope `users:moderate`, too, `ban` needs `rooms:write`, `quarantine` needs \
             `media:write`. The report is resolved if and only if all of the act is done. An act that was done before changes \
             nothing more. Unknown keys are refused.",
        )
        .takes::<ActOnReport>()
        .returns::<ReportView>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the kind, the number, a key or the act is not valid, or is not one for this kind"),
            (403, "M_FORBIDDEN", "the caller lacks the scope of the act, or the act is not possible"),
            (403, "M_USER_DEACTIVATED", "the account to suspend is deactivated"),
            (404, "M_NOT_FOUND", "there is no such report, or what was reported is not stored any more"),
            CHANGED,
        ])
}

async fn handle(mut call: Call) -> Answer {
    let id = id_of(&call)?;
    let body = call.take::<ActOnReport>().await?;
    refuse_unknown(&body.unknown)?;
    body::require([body.act.missing(), body.changes.missing()])?;
    let word = body.act.read()?;
    let act = word.parse::<ReportAct>();
    let act = act.map_err(|_| MatrixError::invalid_param(format!("'{word}' is not an act")))?;
    let order = Arc::new(Order {
        id,
        seen: body.changes.read()?,
        act,
        reason: body.reason.read()?,
        resolve: body.resolve.read()?.unwrap_or(false),
    });
    let mut from = Progress::default();
    loop {
        let (order, home, ctx) = (Arc::clone(&order), Arc::clone(&call.app.home), call.admin_ctx()?);
        match call.write(move |tx| acts::act(tx, &home, &ctx, &order, from)).await? {
            Outcome::Partly(next) => from = next,
            Outcome::Wholly(report) => return reply::ok(&ReportView::from(report)),
        }
    }
}
