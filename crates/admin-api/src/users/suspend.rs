//! Suspension of an account.

use std::collections::BTreeMap;

use reeve_accounts::moderation;
use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::target;

body! {
    /// The suspended flag of the account.
    pub(crate) struct Suspend {
        suspend: bool,
    }
}

/// One key, `user_USERID_suspended`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Suspended(BTreeMap<String, bool>);

pub(crate) fn route() -> Route {
    Route::put("/_synapse/admin/v1/suspend/{user_id}", handle)
        .access(Access::Admin(Scope::UsersModerate))
        .id("suspendUser")
        .summary("Suspends an account, so that it can only read and leave rooms, or ends the suspension")
        .description("Returns an object with one key, `user_USERID_suspended`.")
        .takes::<Suspend>()
        .returns::<Suspended>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
            (404, "M_NOT_FOUND", "there is no such account"),
            (400, "M_MISSING_PARAM", "`suspend` is missing"),
            (400, "M_BAD_JSON", "`suspend` is not a boolean"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user_id = target::local_user(&call, "Can only suspend local users")?;
    target::existing(&call, &user_id, "User not found").await?;
    let suspend = call.take::<Suspend>().await?.suspend.read()?;
    let ctx = call.admin_ctx()?;
    let user = call.write(move |tx| moderation::set_suspended(tx, &ctx, &user_id, suspend)).await?;
    let key = format!("user_{}_suspended", user.user_id);
    reply::ok(&Suspended(BTreeMap::from([(key, user.suspended)])))
}
