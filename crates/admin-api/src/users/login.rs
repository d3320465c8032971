//! Logs in as another account.

use reeve_accounts::sessions;
use reeve_app::json::{self, Integer};
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{Millis, Scope, id};
use serde::Serialize;
use utoipa::ToSchema;

use crate::target;

body! {
    /// The validity of the token.
    pub(crate) struct LoginAs {
        /// When the token expires, in milliseconds since the epoch; absent or null for never.
        valid_until_ms: Option<i64>,
    }
}

/// The token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoggedInAs {
    access_token: String,
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/users/{user_id}/login", handle)
        .access(Access::Admin(Scope::SessionsImpersonate))
        .id("loginAsUser")
        .summary("Creates a token with which the administrator acts as another account")
        .not_suspended("Logging in as others while account is suspended is not allowed.")
        .description(
            "The token acts as the account and belongs to the administrator: it has no device, and the account's owner \
             does not see it. It ends with the administrator's sessions, when the administrator is demoted, locked, \
             suspended or deactivated, and when the account is deactivated.",
        )
        .may_take::<LoginAs>()
        .returns::<LoggedInAs>(200)
        .errors(&[
            (400, "M_UNKNOWN", "the account is on another server or the caller's own, or `valid_until_ms` is not an integer"),
            (403, "M_USER_DEACTIVATED", "the account is deactivated"),
            (404, "M_NOT_FOUND", "there is no such account"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user_id = target::local_domain(&call, "Only local users can be logged in as")?;
    id::split(&user_id)?;
    let valid_until = match valid_until(&mut call).await {
        Ok(valid_until) => valid_until,
        Err(error) => {
            // A missing account takes precedence over this error.
            target::existing(&call, &user_id, "User not found").await?;
            return Err(error);
        }
    };
    let ctx = call.admin_ctx()?;
    let access_token = call.write(move |tx| sessions::login_as(tx, &ctx, &user_id, valid_until)).await?;
    reply::ok(&LoggedInAs { access_token })
}

async fn valid_until(call: &mut Call) -> Result<Option<Millis>, MatrixError> {
    let body: LoginAs = call.take().await?;
    let Some(value) = body.valid_until_ms.value().filter(|value| !value.is_null()) else { return Ok(None) };
    match json::integer(value) {
        Integer::Is(ts) => Ok(Some(Millis::new(ts))),
        Integer::TooLarge => Err(MatrixError::invalid_param("'valid_until_ms' parameter must be an int")),
        Integer::Not => Err(MatrixError::unknown("'valid_until_ms' parameter must be an int")),
    }
}
