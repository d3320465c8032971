//! Reads a user.

use reeve_app::{Access, Answer, Content, Reading, Route};
use reeve_model::Scope;

use super::view::ScimUser;
use super::write;
use crate::error::MISSING;
use crate::place::Resource;
use crate::reply;
use crate::shown::Shown;

pub(super) fn route() -> Route {
    Route::read(super::ONE, handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("getScimUser")
        .summary("Returns a user")
        .description("Returns 304 if `If-None-Match` has the version of the user.")
        .query(Shown::params())
        .returns::<ScimUser>(200)
        .returns_other(304, Content::Nothing)
        .errors(&[MISSING])
}

fn handle(call: &Reading<'_>) -> Answer {
    let shown = Shown::of_query(Resource::User, &call.query)?;
    let user = write::view_of(call.tx, &call.app, call.params.get("user_id"))?;
    reply::read(Resource::User, user, &shown, &call.headers)
}
