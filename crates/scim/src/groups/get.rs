//! Reads a group.

use reeve_app::{Access, Answer, Content, Reading, Route};
use reeve_model::Scope;

use super::group::Group;
use super::view::{self, ScimGroup};
use crate::error::{MISSING, TOO_MANY};
use crate::place::Resource;
use crate::reply;
use crate::shown::Shown;

pub(super) fn route() -> Route {
    Route::read(super::ONE, handle)
        .access(Access::Admin(Scope::RoomsRead))
        .id("getScimGroup")
        .summary("Returns a group")
        .description(super::SCOPES)
        .query(Shown::params())
        .returns::<ScimGroup>(200)
        .returns_other(304, Content::Nothing)
        .errors(&[MISSING, TOO_MANY])
}

fn handle(call: &Reading<'_>) -> Answer {
    let shown = Shown::of_query(Resource::Group, &call.query)?;
    let group = Group::find(call.tx, &call.app, &call.admin_ctx()?, call.params.get("group_id"))?;
    let seen = if shown.has("members") {
        view::whole(call.tx, &call.app, &group)?
    } else {
        view::alone(call.tx, &call.app, &group)?
    };
    reply::read(Resource::Group, seen, &shown, &call.headers)
}
