//! Deletes a role.

use reeve_accounts::roles;
use reeve_app::{Access, Answer, Call, Route, reply, shape};
use reeve_model::Scope;

use super::{MISSING, NOT_CHANGED};

pub(crate) fn route() -> Route {
    Route::delete(super::ONE, handle)
        .access(Access::Admin(Scope::AdminsWrite))
        .id("deleteRole")
        .returns::<shape::Empty>(200)
        .summary("Deletes a role that no account holds")
        .errors(&[NOT_CHANGED, MISSING, (409, "M_UNKNOWN", "accounts hold the role")])
}

async fn handle(call: Call) -> Answer {
    let (ctx, name) = (call.admin_ctx()?, call.param("name"));
    call.write(move |tx| roles::delete(tx, &ctx, &name)).await?;
    reply::empty()
}
