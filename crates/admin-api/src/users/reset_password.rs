//! Sets the password of an account.

use reeve_accounts::{Error, rights, users};
use reeve_app::{Access, Answer, Call, Route, body, json, reply, shape};
use reeve_model::Scope;

use crate::target;

body! {
    /// The new password.
    pub(crate) struct ResetPassword {
        new_password: String,
        /// True (the default) to end the sessions of the account.
        logout_devices: Option<bool>,
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/reset_password/{user_id}", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("resetPassword")
        .returns::<shape::Empty>(200)
        .summary("Sets the password of an account")
        .takes::<ResetPassword>()
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_MISSING_PARAM", "`new_password` is missing"),
            (400, "M_BAD_JSON", "`new_password` is not a string"),
            (403, "M_FORBIDDEN", "passwords cannot be changed on this server"),
            (404, "M_NOT_FOUND", "there is no such account here"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user_id = target::shape(&call)?;
    let body: ResetPassword = call.take().await?;
    let password = body.new_password.read()?;
    let logout_devices = body.logout_devices.value().is_none_or(json::truthy);
    let user = target::existing(&call, &user_id, "Unknown user").await?;
    if !call.app.policy.password_enabled {
        return Err(Error::PasswordChangeDisabled.into());
    }
    let hash = call.app.hasher.hash(&password).await?;
    let (ctx, end_sessions) = (call.admin_ctx()?, logout_devices.then(|| super::spared(&call)));
    call.write(move |tx| {
        let user = rights::to_change(tx, &ctx, &user.user_id)?;
        users::change_password(tx, &ctx, &user, &hash, end_sessions.as_ref())
    })
    .await?;
    reply::empty()
}
