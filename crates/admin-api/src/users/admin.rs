//! The administrator flag of an account: reads and sets it.

use reeve_app::{Access, Answer, Call, Reading, Route, body, json, reply, shape};
use reeve_model::Scope;
use reeve_store::users;
use serde_json::json;

use crate::target;

const REMOTE: &str = "Only local users can be admins of this homeserver";

body! {
    /// The administrator flag.
    pub(crate) struct AdminFlag {
        admin: bool,
    }
}

pub(crate) fn get() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/admin", read)
        .access(Access::Admin(Scope::UsersRead))
        .id("isUserAdmin")
        .summary("Returns whether an account is a server administrator")
        .description("An account that does not exist is not.")
        .returns::<AdminFlag>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
        ])
}

pub(crate) fn put() -> Route {
    Route::put("/_synapse/admin/v1/users/{user_id}/admin", write)
        .access(Access::Admin(Scope::AdminsWrite))
        .id("setUserAdmin")
        .returns::<shape::Empty>(200)
        .summary("Grants or revokes server administration for an account")
        .takes::<AdminFlag>()
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_MISSING_PARAM", "`admin` is missing"),
            (400, "M_UNKNOWN", "the account is on another server, or the caller would demote themself"),
            (404, "M_UNKNOWN", "there is no such account"),
        ])
}

fn read(call: &Reading<'_>) -> Answer {
    let user_id = target::local_user(call, REMOTE)?;
    let user = users::find(call.tx, &user_id)?;
    reply::ok(&json!({ "admin": user.is_some_and(|user| user.admin) }))
}

async fn write(mut call: Call) -> Answer {
    target::shape(&call)?;
    let body: AdminFlag = call.take().await?;
    body::require([body.admin.missing()])?;
    let user_id = target::local_user(&call, REMOTE)?;
    // Clients also send 0 and 1.
    let admin = body.admin.value().is_some_and(json::truthy);
    let ctx = call.admin_ctx()?;
    call.write(move |tx| reeve_accounts::users::set_admin(tx, &ctx, &user_id, admin).map_err(target::no_row))
        .await?;
    reply::empty()
}
