//! Reads one registration token.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;
use reeve_store::registration_tokens;

use super::{TokenView, no_such_token};

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/registration_tokens/{token}", handle)
        .access(Access::Admin(Scope::RegistrationRead))
        .id("getRegistrationToken")
        .summary("Returns one registration token")
        .returns::<TokenView>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such token")])
}

fn handle(call: &Reading<'_>) -> Answer {
    let token = call.params.get("token");
    let found = registration_tokens::find(call.tx, token)?;
    reply::ok(&TokenView::from(found.ok_or_else(|| no_such_token(token))?))
}
