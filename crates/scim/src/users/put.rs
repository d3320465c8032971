//! Replaces a user.

use http::StatusCode;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Route};
use reeve_model::Scope;

use super::view::ScimUser;
use super::write::{self, Given, Target};
use crate::error::{self, BAD_VALUE, FIXED, MALFORMED, MISSING, REFUSED, STALE, TAKEN};
use crate::place::Resource;
use crate::reply::Precondition;
use crate::schema::USER;
use crate::shown::Shown;
use crate::{read, reply};

pub(super) fn route() -> Route {
    Route::put(super::ONE, handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("replaceScimUser")
        .summary("Changes a user to a given state")
        .description(
            "An attribute that the request leaves out stays as it is; one that is null, or an empty list, is removed.",
        )
        .query(Shown::params())
        .takes::<AnyObject>()
        .returns::<ScimUser>(200)
        .errors(&[MALFORMED, BAD_VALUE, FIXED, REFUSED, MISSING, TAKEN, STALE])
}

async fn handle(mut call: Call) -> Answer {
    let shown = Shown::of_query(Resource::User, &call.query)?;
    let body = call.take::<AnyObject>().await?.0;
    let (user_id, precondition) = (call.param("user_id"), Precondition::of_headers(&call.headers));
    let user = replace(&call, user_id, precondition, &body).await?;
    reply::resource(StatusCode::OK, Resource::User, user, &shown)
}

/// Changes a user and returns it.
pub(crate) async fn replace(
    call: &Call,
    user_id: String,
    precondition: Precondition,
    body: &Object,
) -> Result<Object, MatrixError> {
    read::check_schema(body, USER)?;
    if read::text(body, "userName")?.is_none() {
        return Err(error::invalid_value("'userName' is missing"));
    }
    write::change(call, Target { user_id, precondition }, Given::Body(body.clone())).await
}
