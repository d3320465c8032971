//! Reads one service token.

use reeve_accounts::service_tokens;
use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;

use super::ServiceTokenView;

pub(crate) fn route() -> Route {
    Route::read(super::ONE, handle)
        .access(Access::Admin(Scope::ServicesRead))
        .id("getServiceToken")
        .summary("Returns one service token, without its secret")
        .returns::<ServiceTokenView>(200)
        .errors(&[super::MISSING])
}

fn handle(call: &Reading<'_>) -> Answer {
    let token = service_tokens::find(call.tx, call.params.get("name"))?;
    reply::ok(&ServiceTokenView::new(call, token))
}
