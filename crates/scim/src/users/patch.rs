//! Changes attributes of a user.

use http::StatusCode;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Route};
use reeve_model::Scope;

use super::view::ScimUser;
use super::write::{self, Given, Target};
use crate::error::{
    BAD_FILTER, BAD_PATH, BAD_VALUE, FIXED, MALFORMED, MISSING, NO_TARGET, REFUSED, STALE, TAKEN, TOO_MANY,
};
use crate::place::Resource;
use crate::reply::{self, Precondition};
use crate::shown::Shown;

pub(super) fn route() -> Route {
    Route::patch(super::ONE, handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("patchScimUser")
        .summary("Changes attributes of a user")
        .description(
            "`op` is `add`, `replace` or `remove`, in any case; `path` can have filters on values, and without one, `value` is an \
             object with paths as keys. Attributes of RFC 7643 that are not kept are accepted and change nothing. The whole \
             request is one change, all or nothing.",
        )
        .query(Shown::params())
        .takes::<AnyObject>()
        .returns::<ScimUser>(200)
        .errors(&[MALFORMED, BAD_PATH, BAD_FILTER, BAD_VALUE, NO_TARGET, FIXED, TOO_MANY, REFUSED, MISSING, TAKEN, STALE])
}

async fn handle(mut call: Call) -> Answer {
    let shown = Shown::of_query(Resource::User, &call.query)?;
    let body = call.take::<AnyObject>().await?.0;
    let (user_id, precondition) = (call.param("user_id"), Precondition::of_headers(&call.headers));
    let user = patch(&call, user_id, precondition, &body).await?;
    reply::resource(StatusCode::OK, Resource::User, user, &shown)
}

/// Changes attributes of a user and returns it.
pub(crate) async fn patch(
    call: &Call,
    user_id: String,
    precondition: Precondition,
    body: &Object,
) -> Result<Object, MatrixError> {
    let operations = crate::patch::operations(body)?;
    write::change(call, Target { user_id, precondition }, Given::Operations(operations)).await
}
