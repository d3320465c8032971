//! Replaces a group.

use http::StatusCode;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Route};
use reeve_model::Scope;

use super::change::Change;
use super::view::ScimGroup;
use super::write::{self, Target};
use crate::error::{BAD_VALUE, FIXED, MALFORMED, MISSING, REFUSED, STALE, TOO_MANY};
use crate::place::Resource;
use crate::reply::Precondition;
use crate::schema::GROUP;
use crate::shown::Shown;
use crate::{read, reply};

pub(super) fn route() -> Route {
    Route::put(super::ONE, handle)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("replaceScimGroup")
        .summary("Changes a group to a given state")
        .description(
            "An attribute that the request leaves out stays as it is. Members that are not users of this server are left out. Ten \
             members at a time are changed, all or nothing: repeating a request completes one that was refused or broke off \
             half-way. A group that is a role needs the scopes `users:read` and `admins:write`.",
        )
        .query(Shown::params())
        .takes::<AnyObject>()
        .returns::<ScimGroup>(200)
        .errors(&[MALFORMED, BAD_VALUE, FIXED, TOO_MANY, REFUSED, MISSING, STALE])
}

async fn handle(mut call: Call) -> Answer {
    let shown = Shown::of_query(Resource::Group, &call.query)?;
    let body = call.take::<AnyObject>().await?.0;
    let (group_id, precondition) = (call.param("group_id"), Precondition::of_headers(&call.headers));
    let group = replace(&call, group_id, precondition, &body).await?;
    reply::resource(StatusCode::OK, Resource::Group, group, &shown)
}

/// Changes a group and returns it.
pub(crate) async fn replace(
    call: &Call,
    group_id: String,
    precondition: Precondition,
    body: &Object,
) -> Result<Object, MatrixError> {
    read::check_schema(body, GROUP)?;
    write::update(call, Target { group_id, precondition }, Change::of_body(body)?).await
}
