//! Pauses, resumes and cancels batches.

use reeve_app::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_batch::{Error, View};
use reeve_db::Tx;
use reeve_model::{Ctx, Scope};

use super::{BatchView, FORBIDDEN, MISSING};

/// A change of the state of a batch.
type Deed = fn(&mut Tx<'_>, &Ctx, &str) -> Result<View, Error>;

fn route(path: &str, deed: Deed) -> reeve_app::Endpoint {
    Route::post(path, move |call: Call| handle(call, deed))
}

fn described(endpoint: reeve_app::Endpoint) -> Route {
    endpoint
        .access(Access::Admin(Scope::UsersRead))
        .description("The caller needs the scope of the act.")
        .returns::<BatchView>(200)
        .errors(&[FORBIDDEN, MISSING, (409, "M_UNKNOWN", "the batch is in no state for this")])
}

pub(crate) fn pause() -> Route {
    described(route("/_reeve/admin/v1/users/batch/{id}/pause", reeve_batch::pause))
        .id("pauseUserBatch")
        .summary("Lets a batch rest after its present step")
}

pub(crate) fn resume() -> Route {
    described(route("/_reeve/admin/v1/users/batch/{id}/resume", reeve_batch::resume))
        .id("resumeUserBatch")
        .summary("Lets a paused batch continue")
}

pub(crate) fn cancel() -> Route {
    described(route("/_reeve/admin/v1/users/batch/{id}/cancel", reeve_batch::cancel))
        .id("cancelUserBatch")
        .summary("Ends a batch after its present step")
}

async fn handle(call: Call, deed: Deed) -> Answer {
    let (ctx, id) = (call.admin_ctx()?, call.param("id"));
    let view: Result<View, MatrixError> = call.write(move |tx| deed(tx, &ctx, &id)).await;
    reply::ok(&BatchView::of(view?, call.caller().scopes()))
}
