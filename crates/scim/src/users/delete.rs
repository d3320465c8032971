//! Deletes a user.

use std::sync::Arc;

use http::StatusCode;
use reeve_app::{Access, Answer, Call, Content, MatrixError, Route, reply};
use reeve_model::Scope;

use super::write::{self, Target};
use crate::error::{MISSING, REFUSED, STALE};
use crate::reply::Precondition;

pub(super) fn route() -> Route {
    Route::delete(super::ONE, handle)
        .access(Access::Admin(Scope::UsersDeactivate))
        .id("deleteScimUser")
        .summary("Deletes a user: the account is deactivated")
        .description(
            "Its external id is free afterwards; its user id stays taken, and a user who is created with the same name is the \
             same account. Where `active: false` deactivates already, the account is erased, too: its name is taken then, \
             unless the settings say otherwise.",
        )
        .returns_other(204, Content::Nothing)
        .errors(&[REFUSED, MISSING, STALE])
}

async fn handle(call: Call) -> Answer {
    let (user_id, precondition) = (call.param("user_id"), Precondition::of_headers(&call.headers));
    delete(&call, user_id, precondition).await?;
    Ok(reply::nothing(StatusCode::NO_CONTENT))
}

/// Deletes a user.
pub(crate) async fn delete(
    call: &Call,
    user_id: String,
    precondition: Precondition,
) -> Result<(), MatrixError> {
    let (app, ctx) = (Arc::clone(&call.app), call.admin_ctx()?);
    let target = Target { user_id, precondition };
    call.write(move |tx| write::delete(tx, &app, &ctx, &target)).await
}
