//! Creates a group.

use http::StatusCode;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Route};
use reeve_model::Scope;

use super::change::Change;
use super::view::ScimGroup;
use super::write;
use crate::error::{BAD_VALUE, MALFORMED, REFUSED, TOO_MANY};
use crate::place::Resource;
use crate::schema::GROUP;
use crate::shown::Shown;
use crate::{read, reply};

pub(super) fn route() -> Route {
    Route::post(super::PATH, handle)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("createScimGroup")
        .summary("Creates a group: a private space or room")
        .description(
            "The settings say which, and which account manages it. Members that are not users of this server are left out. Ten \
             members at a time are added; if one of them is refused, the group is deleted again.",
        )
        .query(Shown::params())
        .takes::<AnyObject>()
        .returns::<ScimGroup>(201)
        .errors(&[
            MALFORMED,
            BAD_VALUE,
            TOO_MANY,
            REFUSED,
            (501, "", "no account is set to manage the rooms of groups"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let shown = Shown::of_query(Resource::Group, &call.query)?;
    let body = call.take::<AnyObject>().await?.0;
    reply::resource(StatusCode::CREATED, Resource::Group, create(&call, &body).await?, &shown)
}

/// Creates a group and returns it.
pub(crate) async fn create(call: &Call, body: &Object) -> Result<Object, MatrixError> {
    read::check_schema(body, GROUP)?;
    write::create(call, Change::of_body(body)?).await
}
