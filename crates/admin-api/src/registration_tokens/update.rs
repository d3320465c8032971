//! Changes the limits of a registration token.

use reeve_accounts::registration::{self, TokenChange};
use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::Scope;

use super::{TokenView, expiry_time, no_such_token, uses_allowed};

body! {
    /// The new limits of a registration token. Absent keys are not changed, and other keys are ignored.
    pub(crate) struct UpdateToken {
        /// The number of accounts that can register with it; null for no limit.
        uses_allowed: Option<i64>,
        /// When it expires, in milliseconds since the epoch; null for never.
        expiry_time: Option<i64>,
    }
}

pub(crate) fn route() -> Route {
    Route::put("/_synapse/admin/v1/registration_tokens/{token}", handle)
        .access(Access::Admin(Scope::RegistrationWrite))
        .id("updateRegistrationToken")
        .summary("Changes the number of uses and the expiry of a registration token")
        .takes::<UpdateToken>()
        .returns::<TokenView>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "a value is not valid"),
            (404, "M_NOT_FOUND", "there is no such token"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let token = call.param("token");
    let body: UpdateToken = call.take().await?;
    let change = TokenChange {
        uses_allowed: uses_allowed(&body.uses_allowed)?,
        expiry_ts: expiry_time(&body.expiry_time, call.now)?,
    };
    let (ctx, wanted) = (call.admin_ctx()?, token.clone());
    match call.write(move |tx| registration::update_token(tx, &ctx, &wanted, change)).await? {
        Some(token) => reply::ok(&TokenView::from(token)),
        None => Err(no_such_token(&token)),
    }
}
