//! Whether an account administers the server: reads and sets it.

use reeve_accounts::users as deeds;
use reeve_http::{Answer, Call, Reading, Route, json, reply, shape};
use reeve_store::users;
use serde::Serialize;
use utoipa::ToSchema;

use crate::target;

const REMOTE: &str = "Only local users can be admins of this homeserver";

/// Whether an account administers the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminFlag {
    admin: bool,
}

pub(crate) fn get() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/admin", read)
        .id("isUserAdmin")
        .summary("Whether an account administers the server")
        .description("An account that does not exist does not.")
        .returns::<AdminFlag>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
        ])
}

pub(crate) fn put() -> Route {
    Route::put("/_synapse/admin/v1/users/{user_id}/admin", write)
        .id("setUserAdmin")
        .returns::<shape::Empty>(200)
        .summary("Makes an account an administrator of the server, or not")
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
    reply::ok(&AdminFlag { admin: user.is_some_and(|user| user.admin) })
}

async fn write(mut call: Call) -> Answer {
    target::shape(&call)?;
    let body = call.object().await?;
    json::require(&body, &["admin"])?;
    let user_id = target::local_user(&call, REMOTE)?;
    // Clients send 0 and 1 too.
    let admin = body.get("admin").is_some_and(json::truthy);
    let (ctx, acting) = (call.admin_ctx()?, call.user()?.user_id.clone());
    call.write(move |tx| deeds::set_admin(tx, &ctx, &acting, &user_id, admin).map_err(target::no_row))
        .await?;
    reply::empty()
}
