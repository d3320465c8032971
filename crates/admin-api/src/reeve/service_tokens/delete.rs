//! Deletes a service token.

use reeve_accounts::service_tokens;
use reeve_app::{Access, Answer, Call, Route, reply, shape};
use reeve_model::Scope;

pub(crate) fn route() -> Route {
    Route::delete(super::ONE, handle)
        .access(Access::Admin(Scope::ServicesWrite))
        .id("deleteServiceToken")
        .returns::<shape::Empty>(200)
        .summary("Deletes a service token, which is refused from then on")
        .errors(&[super::MISSING])
}

async fn handle(call: Call) -> Answer {
    let (ctx, name) = (call.admin_ctx()?, call.param("name"));
    call.write(move |tx| service_tokens::delete(tx, &ctx, &name)).await?;
    reply::empty()
}
