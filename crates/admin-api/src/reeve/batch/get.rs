//! Returns one batch.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;

use super::{BatchView, MISSING};

pub(crate) fn route() -> Route {
    Route::read("/_reeve/admin/v1/users/batch/{id}", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("getUserBatch")
        .summary("Returns the state of a batch")
        .returns::<BatchView>(200)
        .errors(&[MISSING])
}

fn handle(call: &Reading<'_>) -> Answer {
    let view = reeve_batch::find(call.tx, call.params.get("id"))?;
    reply::ok(&BatchView::of(view, call.caller().scopes()))
}
