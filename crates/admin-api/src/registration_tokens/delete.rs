//! Deletes a registration token.

use reeve_accounts::registration;
use reeve_app::{Access, Answer, Call, Route, reply, shape};
use reeve_model::Scope;

use super::no_such_token;

pub(crate) fn route() -> Route {
    Route::delete("/_synapse/admin/v1/registration_tokens/{token}", handle)
        .access(Access::Admin(Scope::RegistrationWrite))
        .id("deleteRegistrationToken")
        .returns::<shape::Empty>(200)
        .summary("Deletes a registration token")
        .description("Registrations in progress with it cannot be completed.")
        .errors(&[(404, "M_NOT_FOUND", "there is no such token")])
}

async fn handle(call: Call) -> Answer {
    let token = call.param("token");
    let (ctx, wanted) = (call.admin_ctx()?, token.clone());
    if call.write(move |tx| registration::delete_token(tx, &ctx, &wanted)).await? {
        reply::empty()
    } else {
        Err(no_such_token(&token))
    }
}
