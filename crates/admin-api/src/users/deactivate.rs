//! Deactivation of an account.

use reeve_accounts::{deactivate, rights};
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::target;

body! {
    /// The options of a deactivation.
    pub(crate) struct Deactivate {
        /// True to erase: its profile is deleted, and its messages are hidden from people who join later.
        erase?: bool,
    }
}

/// The result for third-party ids bound at identity servers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deactivated {
    id_server_unbind_result: &'static str,
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/deactivate/{user_id}", handle)
        .access(Access::Admin(Scope::UsersDeactivate))
        .id("deactivateUser")
        .summary("Deactivates an account, and optionally erases it")
        .description(
            "Sessions, devices, third-party ids, the password and login-as tokens are deleted at once. Data of \
             unbounded size is cleared by a durable job (`GET /_reeve/admin/v1/jobs?subject=USER_ID`). Unless the account \
             is erased, it can be restored for a while (`account.keep_deactivated_ms`).",
        )
        .may_take::<Deactivate>()
        .returns::<Deactivated>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
            (404, "M_NOT_FOUND", "there is no such account"),
            (400, "M_BAD_JSON", "`erase` is not a boolean"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user_id = target::local_user(&call, "Can only deactivate local users")?;
    target::existing(&call, &user_id, "User not found").await?;
    let erase = call.take::<Deactivate>().await?.erase;
    let erase = erase.read_or(|_| MatrixError::bad_json("Param 'erase' must be a boolean, if given"))?;
    let erase = erase.unwrap_or(false);
    let (ctx, policy) = (call.admin_ctx()?, call.app.policy.clone());
    let job = call
        .write(move |tx| {
            let user = rights::to_change(tx, &ctx, &user_id)?;
            deactivate::deactivate(tx, &ctx, &policy, &user, erase)
        })
        .await?;
    call.app.jobs.wait(&job, super::JOB_WAIT).await?;
    reply::ok(&Deactivated { id_server_unbind_result: "success" })
}
