//! Reads one account.

use reeve_app::{Access, Answer, MatrixError, Reading, Route, reply};
use reeve_model::Scope;

use super::view::UserView;
use crate::target;

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v2/users/{user_id}", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("getUser")
        .summary("Returns one account")
        .returns::<UserView>(200)
        .errors(target::ERRORS)
}

fn handle(call: &Reading<'_>) -> Answer {
    let user_id = target::local_user(call, "Can only look up local users")?;
    let user = UserView::find(call.tx, &user_id)?;
    reply::ok(&user.ok_or_else(|| MatrixError::not_found("User not found"))?)
}
