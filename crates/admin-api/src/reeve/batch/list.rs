//! Lists batches.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::{Scope, Scopes};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{cut, from, limit, page};
use super::BatchView;

/// A page of the list of batches, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchList {
    batches: Vec<BatchView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn route() -> Route {
    Route::read(super::PATH, handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listUserBatches")
        .summary("Lists batches, the newest first")
        .query(page("batches"))
        .returns::<BatchList>(200)
        .errors(&[(
            400,
            "M_INVALID_PARAM",
            "`limit` is malformed, or `from` is not a `next_token` of this list",
        )])
}

fn handle(call: &Reading<'_>) -> Answer {
    let limit = limit(call)?;
    let mut batches = reeve_batch::list(call.tx, &from(call)?, limit + 1)?;
    let next_token = cut(&mut batches, limit).map(|last| last.batch.sort_key().to_string());
    let batches = batches.into_iter().map(|view| BatchView::of(view, Scopes::NONE)).collect();
    reply::ok(&BatchList { batches, next_token })
}
