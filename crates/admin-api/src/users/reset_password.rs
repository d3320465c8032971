//! Sets the password of an account.

use reeve_accounts::{Error, rights, users};
use reeve_app::{Access, Answer, Call, MatrixError, Route, json, reply, shape};
use reeve_model::Scope;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::target;

/// The new password.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read key by key")]
pub(crate) struct ResetPassword {
    new_password: String,
    /// True (the default) to end the sessions of the account.
    logout_devices: Option<bool>,
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
    let body = call.object().await?;
    json::require(&body, &["new_password"])?;
    let Some(Value::String(password)) = body.get("new_password") else {
        return Err(MatrixError::bad_json("'new_password' must be a string"));
    };
    let logout_devices = body.get("logout_devices").is_none_or(json::truthy);
    let user = target::existing(&call, &user_id, "Unknown user").await?;
    if !call.app.policy.password_enabled {
        return Err(Error::PasswordChangeDisabled.into());
    }
    let hash = call.app.hasher.hash(password).await?;
    let (ctx, end_sessions) = (call.admin_ctx()?, logout_devices.then(|| super::spared(&call)));
    call.write(move |tx| {
        let user = rights::to_change(tx, &ctx, &user.user_id)?;
        users::change_password(tx, &ctx, &user, &hash, end_sessions.as_ref())
    })
    .await?;
    reply::empty()
}
