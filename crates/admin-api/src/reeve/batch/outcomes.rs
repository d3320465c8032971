//! Lists the outcomes of a batch.

use reeve_app::{Access, Answer, Param, Reading, Route, reply};
use reeve_model::{BatchOutcome, Scope};
use reeve_store::batches::{self, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{bad_from, cut, limit, page};
use super::{FORBIDDEN, MISSING};

/// A page of the outcomes of a batch, in the order in which the accounts were taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomeList {
    outcomes: Vec<OutcomeView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The outcome of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomeView {
    /// The account.
    pub(super) user_id: String,
    /// `done`, `unchanged`, `refused`, `failed` or `skipped`.
    #[schema(value_type = String)]
    pub(super) outcome: BatchOutcome,
    /// The reason, unless it is `done` or `unchanged`.
    #[schema(required)]
    pub(super) reason: Option<String>,
}

impl From<Outcome> for OutcomeView {
    fn from(outcome: Outcome) -> Self {
        Self { user_id: outcome.user_id, outcome: outcome.outcome, reason: outcome.reason }
    }
}

/// The parameter that selects outcomes of one kind.
pub(super) fn only() -> Param {
    Param::choice("outcome", BatchOutcome::WORDS, "only accounts with this outcome")
}

pub(crate) fn route() -> Route {
    Route::read("/_reeve/admin/v1/users/batch/{id}/outcomes", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listUserBatchOutcomes")
        .summary("Lists what became of each account of a batch")
        .description("The caller needs the scope of the act.")
        .query(
            [
                only(),
            ]
            .into_iter()
            .chain(page("accounts")),
        )
        .returns::<OutcomeList>(200)
        .errors(&[
            (
                400,
                "M_INVALID_PARAM",
                "`limit` is malformed, there is no such outcome, or `from` is not a `next_token` of this list",
            ),
            FORBIDDEN,
            MISSING,
        ])
}

fn handle(call: &Reading<'_>) -> Answer {
    let batch = reeve_batch::find_outcomes(call.tx, &call.admin_ctx()?, call.params.get("id"))?.batch;
    let only = call.query.choice("outcome", BatchOutcome::WORDS)?;
    let limit = limit(call)?;
    let after = match call.query.ascii("from")? {
        None => -1,
        Some(token) => token.parse().map_err(|_| bad_from())?,
    };
    let mut outcomes = batches::outcomes(call.tx, batch.num, only, after, limit + 1)?;
    let next_token = cut(&mut outcomes, limit).map(|last| last.place.to_string());
    let outcomes = outcomes.into_iter().map(OutcomeView::from).collect();
    reply::ok(&OutcomeList { outcomes, next_token })
}
