//! Lock and suspension of accounts as in the Matrix specification: the same flags, and the same audit entries,
//! as in the Synapse admin API.
//! <https://spec.matrix.org/v1.18/client-server-api/#server-administration>

use reeve_accounts::moderation::{self, Flag};
use reeve_app::{Access, Answer, Call, Endpoint, Head, MatrixError, Reading, Route, body, reply};
use reeve_model::{Scope, id};
use serde_json::json;

body! {
    /// The suspended flag of an account.
    pub(crate) struct SuspendedFlag {
        suspended: bool,
    }

    /// The locked flag of an account.
    pub(crate) struct LockedFlag {
        locked: bool,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    const LOCK: &str = "/_matrix/client/v1/admin/lock/{user_id}";
    const SUSPEND: &str = "/_matrix/client/v1/admin/suspend/{user_id}";
    vec![
        reading(Route::read(LOCK, |call| read(call, Flag::Locked)))
            .id("getAdminLockUser")
            .summary("Returns whether an account is locked")
            .returns::<LockedFlag>(200)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1adminlockuserid"),
        writing(Route::put(LOCK, |call| write(call, Flag::Locked)))
            .id("setAdminLockUser")
            .summary("Locks or unlocks an account")
            .takes::<LockedFlag>()
            .returns::<LockedFlag>(200)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv1adminlockuserid"),
        reading(Route::read(SUSPEND, |call| read(call, Flag::Suspended)))
            .id("getAdminSuspendUser")
            .summary("Returns whether an account is suspended")
            .returns::<SuspendedFlag>(200)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1adminsuspenduserid"),
        writing(Route::put(SUSPEND, |call| write(call, Flag::Suspended)))
            .id("setAdminSuspendUser")
            .summary("Suspends or unsuspends an account")
            .takes::<SuspendedFlag>()
            .returns::<SuspendedFlag>(200)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv1adminsuspenduserid"),
    ]
}

fn reading(endpoint: Endpoint) -> Route {
    endpoint.access(Access::Admin(Scope::UsersRead)).errors(&[
        (400, "M_INVALID_PARAM", "the user id is malformed, or of another server"),
        (403, "M_FORBIDDEN", "the account is that of another administrator"),
        (404, "M_NOT_FOUND", "there is no such account, or it is deactivated"),
    ])
}

fn writing(endpoint: Endpoint) -> Route {
    endpoint.access(Access::Admin(Scope::UsersModerate)).errors(&[
        (400, "M_INVALID_PARAM", "the user id is malformed, or of another server"),
        (400, "M_MISSING_PARAM", "the flag is missing"),
        (400, "M_BAD_JSON", "the flag is not a boolean"),
        (403, "M_FORBIDDEN", "the account is the caller's own, or that of another administrator"),
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
        Flag::Locked => reply::ok(&json!({ "locked": is_set })),
        Flag::Suspended => reply::ok(&json!({ "suspended": is_set })),
    }
}

fn read(call: &Reading<'_>, flag: Flag) -> Answer {
    let user = moderation::subject(call.tx, &call.admin_ctx()?, &target(call)?)?;
    answer(flag, flag.of(&user))
}

async fn write(mut call: Call, flag: Flag) -> Answer {
    let user_id = target(&call)?;
    let is_set = match flag {
        Flag::Locked => call.take::<LockedFlag>().await?.locked.read()?,
        Flag::Suspended => call.take::<SuspendedFlag>().await?.suspended.read()?,
    };
    let ctx = call.admin_ctx()?;
    let user = call.write(move |tx| moderation::moderate(tx, &ctx, &user_id, flag, is_set)).await?;
    answer(flag, flag.of(&user))
}
