//! Deletes a group.

use http::StatusCode;
use reeve_app::{Access, Answer, Call, Content, MatrixError, Route, reply};
use reeve_model::Scope;

use super::write::{self, Target};
use crate::error::{MISSING, REFUSED, STALE, TOO_MANY};
use crate::reply::Precondition;

pub(super) fn route() -> Route {
    Route::delete(super::ONE, handle)
        .access(Access::Admin(Scope::RoomsWrite))
        .id("deleteScimGroup")
        .summary("Deletes a group: everybody leaves the room, or the role is deleted")
        .description(
            "The messages of the room are kept; the managing account leaves at once, the members in a job. A role that accounts \
             hold, or that is built in, is not deleted. A group that is a role needs the scopes `users:read` and `admins:write`.",
        )
        .returns_other(204, Content::Nothing)
        .errors(&[
            TOO_MANY,
            (400, "M_UNKNOWN", "the room is being deleted"),
            REFUSED,
            MISSING,
            (409, "M_UNKNOWN", "accounts hold the role"),
            STALE,
        ])
}

async fn handle(call: Call) -> Answer {
    let (group_id, precondition) = (call.param("group_id"), Precondition::of_headers(&call.headers));
    delete(&call, group_id, precondition).await?;
    Ok(reply::nothing(StatusCode::NO_CONTENT))
}

/// Deletes a group.
pub(crate) async fn delete(
    call: &Call,
    group_id: String,
    precondition: Precondition,
) -> Result<(), MatrixError> {
    write::delete(call, Target { group_id, precondition }).await
}
