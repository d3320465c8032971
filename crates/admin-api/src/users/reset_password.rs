//! Sets the password of an account.

use std::sync::Arc;

use reeve_accounts::password_change::{self, Reset};
use reeve_accounts::{Error, rights};
use reeve_app::{Access, Answer, Call, Route, body, json, reply, shape};
use reeve_model::Scope;

use crate::target;

body! {
    /// The new password.
    pub(crate) struct ResetPassword {
        new_password: String,
        /// True (the default) to end the sessions of the account.
        logout_devices: Option<bool>,
        /// True if the person must change the new password before doing anything else that writes; false by default.
        require_change?: bool,
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/reset_password/{user_id}", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("resetPassword")
        .returns::<shape::Empty>(200)
        .summary("Sets the password of an account")
        .description(
            "With `require_change` the person can only read, log out and change the password until it is changed. A reset \
             without it ends that.",
        )
        .takes::<ResetPassword>()
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_MISSING_PARAM", "`new_password` is missing"),
            (400, "M_BAD_JSON", "`new_password` is not a string, or `require_change` not a boolean"),
            (400, "M_EXCLUSIVE", "the account is the one that sends server notices"),
            (403, "M_FORBIDDEN", "passwords cannot be changed on this server"),
            (404, "M_NOT_FOUND", "there is no such account here"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user_id = target::shape(&call)?;
    let body: ResetPassword = call.take().await?;
    let password = body.new_password.read()?;
    let logout_devices = body.logout_devices.value().is_none_or(json::truthy);
    let require_change = body.require_change.read()?.unwrap_or(false);
    let user = target::existing(&call, &user_id, "Unknown user").await?;
    if !call.app.policy.password_enabled {
        return Err(Error::PasswordChangeDisabled.into());
    }
    let hash = call.app.hasher.hash(&password).await?;
    let reset = Reset { hash, require_change, end_sessions: logout_devices.then(|| super::spared(&call)) };
    let (ctx, app) = (call.admin_ctx()?, Arc::clone(&call.app));
    call.write(move |tx| {
        let user = rights::to_change(tx, &ctx, &user.user_id)?;
        password_change::reset(tx, &ctx, &app.policy, &user, &reset)
    })
    .await?;
    reply::empty()
}
