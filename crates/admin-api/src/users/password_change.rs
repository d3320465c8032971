//! The requirement that the person of an account changes the password: reads it, and sets it without a new password.

use std::sync::Arc;

use reeve_accounts::{password_change, sessions};
use reeve_app::{Access, Answer, Call, Reading, Route, body, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::reeve::read;
use crate::target;

const PATH: &str = "/_reeve/admin/v1/users/{user_id}/password_change";
const REMOTE: &str = "Only local users have a password";
const MISSING: &str = "User not found";

/// The requirement that the person of an account changes the password.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasswordChange {
    /// True if the person must change the password before doing anything else that writes.
    required: bool,
}

body! {
    /// The requirement that the person of an account changes the password.
    pub(crate) struct SetPasswordChange {
        /// True to require it, false to end that.
        required: bool,
        /// True to end the sessions of the account, too; false by default.
        logout_devices?: bool,
        ..unknown
    }
}

pub(crate) fn get() -> Route {
    Route::read(PATH, read)
        .access(Access::Admin(Scope::UsersRead))
        .id("getPasswordChange")
        .summary("Returns whether the person of an account must change the password")
        .returns::<PasswordChange>(200)
        .errors(target::ERRORS)
}

pub(crate) fn put() -> Route {
    Route::put(PATH, write)
        .access(Access::Admin(Scope::UsersWrite))
        .id("setPasswordChange")
        .summary("Requires that the person of an account changes the password, or ends that")
        .description(
            "Until then the account can only read, log out and change the password. Its person ends that with a password that \
             differs from the present one, an administrator with this endpoint or a new password.",
        )
        .takes::<SetPasswordChange>()
        .returns::<PasswordChange>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed, or a key is not known"),
            (400, "M_MISSING_PARAM", "`required` is missing"),
            (400, "M_UNKNOWN", "the account is on another server, or has no password"),
            (403, "M_FORBIDDEN", "passwords cannot be changed on this server"),
            (404, "M_NOT_FOUND", "there is no such account"),
        ])
}

fn read(call: &Reading<'_>) -> Answer {
    let user_id = target::local_user(call, REMOTE)?;
    let user = target::found(call.tx, &user_id, MISSING)?;
    reply::ok(&PasswordChange { required: user.password_change_required })
}

async fn write(mut call: Call) -> Answer {
    let user_id = target::local_user(&call, REMOTE)?;
    let body = call.take::<SetPasswordChange>().await?;
    read::refuse_unknown(&body.unknown)?;
    let required = body.required.read()?;
    let logout_devices = body.logout_devices.read()?.unwrap_or(false);
    let (ctx, app) = (call.admin_ctx()?, Arc::clone(&call.app));
    let write = call.write(move |tx| -> Result<_, reeve_accounts::Error> {
        let user = password_change::require(tx, &ctx, &app.policy, &user_id, required)?;
        if logout_devices {
            sessions::log_out_everywhere(tx, &ctx, &user_id)?;
        }
        Ok(user.password_change_required)
    });
    reply::ok(&PasswordChange { required: write.await? })
}
