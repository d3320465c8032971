//! Creates a user.

use std::sync::Arc;

use http::StatusCode;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Route};
use reeve_model::Scope;

use super::view::ScimUser;
use super::wanted::{self, Wanted};
use super::write;
use crate::error::{BAD_VALUE, MALFORMED, REFUSED, TAKEN};
use crate::place::Resource;
use crate::schema::USER;
use crate::shown::Shown;
use crate::{read, reply};

pub(super) fn route() -> Route {
    Route::post(super::PATH, handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("createScimUser")
        .summary("Creates a user")
        .description(
            "The localpart of the user id is made from `userName`. A deleted user of the name is the same account again, without \
             what it lost when it was deleted; an erased one is refused with `uniqueness`, unless the settings say otherwise. \
             `active: false` needs the scope `users:moderate` or `users:deactivate`, as the settings say; `roles` needs \
             `admins:write`.",
        )
        .query(Shown::params())
        .takes::<AnyObject>()
        .returns::<ScimUser>(201)
        .errors(&[MALFORMED, BAD_VALUE, REFUSED, TAKEN])
}

async fn handle(mut call: Call) -> Answer {
    let shown = Shown::of_query(Resource::User, &call.query)?;
    let body = call.take::<AnyObject>().await?.0;
    reply::resource(StatusCode::CREATED, Resource::User, create(&call, &body).await?, &shown)
}

/// Creates a user and returns it.
pub(crate) async fn create(call: &Call, body: &Object) -> Result<Object, MatrixError> {
    read::check_schema(body, USER)?;
    let wanted = Wanted::read(body, None)?;
    let password_hash = write::hash(&call.app, wanted::password(body)?).await?;
    let (app, ctx) = (Arc::clone(&call.app), call.admin_ctx()?);
    call.write(move |tx| write::create(tx, &app, &ctx, &wanted, password_hash.as_deref())).await
}
