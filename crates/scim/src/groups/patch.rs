//! Changes attributes of a group.

use http::StatusCode;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Route};
use reeve_model::Scope;

use super::change::Change;
use super::view::ScimGroup;
use super::write::{self, Target};
use crate::error::{
    BAD_FILTER, BAD_PATH, BAD_VALUE, FIXED, MALFORMED, MISSING, NO_TARGET, REFUSED, STALE, TOO_MANY,
};
use crate::place::Resource;
use crate::reply::{self, Precondition};
use crate::shown::Shown;

pub(super) fn route() -> Route {
    Route::patch(super::ONE, handle)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("patchScimGroup")
        .summary("Changes attributes of a group")
        .description(
            "Adding a member makes an account join the room, or gives it the role instead of the one that it has. Members that \
             are not users of this server are left out. Ten members at a time are changed, all or nothing: repeating a request \
             completes one that was refused or broke off half-way. A group that is a role needs the scopes `users:read` and \
             `admins:write`.",
        )
        .query(Shown::params())
        .takes::<AnyObject>()
        .returns::<ScimGroup>(200)
        .errors(&[MALFORMED, BAD_PATH, BAD_FILTER, BAD_VALUE, NO_TARGET, FIXED, TOO_MANY, REFUSED, MISSING, STALE])
}

async fn handle(mut call: Call) -> Answer {
    let shown = Shown::of_query(Resource::Group, &call.query)?;
    let body = call.take::<AnyObject>().await?.0;
    let (group_id, precondition) = (call.param("group_id"), Precondition::of_headers(&call.headers));
    let group = patch(&call, group_id, precondition, &body).await?;
    reply::resource(StatusCode::OK, Resource::Group, group, &shown)
}

/// Changes attributes of a group and returns it.
pub(crate) async fn patch(
    call: &Call,
    group_id: String,
    precondition: Precondition,
    body: &Object,
) -> Result<Object, MatrixError> {
    let change = Change::of_operations(crate::patch::operations(body)?)?;
    write::update(call, Target { group_id, precondition }, change).await
}
