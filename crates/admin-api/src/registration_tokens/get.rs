//! Reads one registration token.

use reeve_http::{Answer, Call, Route, reply};
use reeve_store::registration_tokens;

use super::{TokenView, no_such_token};

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/registration_tokens/{token}", handle)
        .summary("Reads one registration token")
        .returns::<TokenView>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such token")])
}

async fn handle(call: Call) -> Answer {
    let token = call.param("token");
    let wanted = token.clone();
    match call.read(move |tx| registration_tokens::find(tx, &wanted)).await? {
        Some(token) => reply::ok(&TokenView::from(token)),
        None => Err(no_such_token(&token)),
    }
}
