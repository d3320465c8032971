//! Reads one role.

use reeve_accounts::roles;
use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;

use super::RoleView;

pub(crate) fn route() -> Route {
    Route::read(super::ONE, handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("getRole")
        .summary("Returns one role with its scopes")
        .returns::<RoleView>(200)
        .errors(&[super::MISSING])
}

fn handle(call: &Reading<'_>) -> Answer {
    reply::ok(&RoleView::from(roles::find(call.tx, call.params.get("name"))?))
}
