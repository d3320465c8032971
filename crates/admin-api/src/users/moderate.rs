//! The specification's own way to lock and suspend accounts: the same flags, and the same entries in the audit log, as
//! the Synapse admin API has.
//! <https://spec.matrix.org/v1.18/client-server-api/#server-administration>

use reeve_accounts::moderation::{self, Flag};
use reeve_http::{Answer, Call, Head, MatrixError, Reading, Route, json, reply};
use reeve_model::id;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Whether an account is suspended.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct SuspendedFlag {
    suspended: bool,
}

/// Whether an account is locked.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct LockedFlag {
    locked: bool,
}

pub(crate) fn routes() -> Vec<Route> {
    const LOCK: &str = "/_matrix/client/v1/admin/lock/{user_id}";
    const SUSPEND: &str = "/_matrix/client/v1/admin/suspend/{user_id}";
    vec![
        reading(Route::read(LOCK, |call| read(call, Flag::Locked)))
            .id("getAdminLockUser")
            .summary("Says whether an account is locked")
            .returns::<LockedFlag>(200)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1adminlockuserid"),
        writing(Route::put(LOCK, |call| write(call, Flag::Locked)))
            .id("setAdminLockUser")
            .summary("Locks an account, so that its sessions rest, or unlocks it")
            .takes::<LockedFlag>()
            .returns::<LockedFlag>(200)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv1adminlockuserid"),
        reading(Route::read(SUSPEND, |call| read(call, Flag::Suspended)))
            .id("getAdminSuspendUser")
            .summary("Says whether an account is suspended")
            .returns::<SuspendedFlag>(200)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1adminsuspenduserid"),
        writing(Route::put(SUSPEND, |call| write(call, Flag::Suspended)))
            .id("setAdminSuspendUser")
            .summary("Suspends an account, so that it may only read and leave, or lets it act again")
            .takes::<SuspendedFlag>()
            .returns::<SuspendedFlag>(200)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv1adminsuspenduserid"),
    ]
}

fn reading(route: Route) -> Route {
    route.errors(&[
        (400, "M_INVALID_PARAM", "the user id is malformed, or of another server"),
        (403, "M_FORBIDDEN", "the account is another administrator's"),
        (404, "M_NOT_FOUND", "there is no such account, or it is deactivated"),
    ])
}

fn writing(route: Route) -> Route {
    route.errors(&[
        (400, "M_INVALID_PARAM", "the user id is malformed, or of another server"),
        (400, "M_MISSING_PARAM", "the flag is missing"),
        (400, "M_BAD_JSON", "the flag is not a boolean"),
        (403, "M_FORBIDDEN", "the account is the caller's own, or another administrator's"),
        (404, "M_NOT_FOUND", "there is no such account, or it is deactivated"),
    ])
}

fn target(call: &Head) -> Result<String, MatrixError> {
    let user_id = call.param("user_id");
    id::split(&user_id)?;
    if id::domain_is(&user_id, &call.app.server_name) {
        Ok(user_id)
    } else {
        Err(MatrixError::invalid_param("User does not belong to the local server."))
    }
}

fn answer(flag: Flag, is_set: bool) -> Answer {
    match flag {
        Flag::Locked => reply::ok(&LockedFlag { locked: is_set }),
        Flag::Suspended => reply::ok(&SuspendedFlag { suspended: is_set }),
    }
}

fn read(call: &Reading<'_>, flag: Flag) -> Answer {
    let user = moderation::subject(call.tx, call.user()?, &target(call)?)?;
    answer(flag, flag.of(&user))
}

async fn write(mut call: Call, flag: Flag) -> Answer {
    let user_id = target(&call)?;
    let body = call.object().await?;
    let key = match flag {
        Flag::Locked => "locked",
        Flag::Suspended => "suspended",
    };
    json::require(&body, &[key])?;
    let Some(&Value::Bool(is_set)) = body.get(key) else {
        return Err(MatrixError::bad_json(format!("'{key}' must be a boolean")));
    };
    let ctx = call.admin_ctx()?;
    let user =
        call.act(move |tx, session| moderation::moderate(tx, &ctx, &session.user, &user_id, flag, is_set));
    answer(flag, flag.of(&user.await?))
}
