//! Expiry of an account: sets the time until which it is valid.

use reeve_accounts::validity;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{Millis, Scope, id};
use serde::Serialize;
use utoipa::ToSchema;

body! {
    /// The time until which an account is valid.
    pub(crate) struct SetValidity {
        user_id: String,
        /// In milliseconds. Optional if accounts expire on this server; by default one period from now.
        expiration_ts?: i64,
        /// True (the default) if the owner is reminded by e-mail, and can renew the account by a link in it. If false, only
        /// administrators renew the account.
        enable_renewal_emails?: bool,
    }
}

/// The time until which the account is now valid.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Validity {
    /// In milliseconds.
    expiration_ts: i64,
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/account_validity/validity", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("renewAccountValidity")
        .summary("Sets the time until which an account is valid")
        .description(
            "A time in the past closes the account at once: requests with an access token are refused with 403 \
             `ORG_MATRIX_EXPIRED_ACCOUNT`. The account need not exist yet.",
        )
        .takes::<SetValidity>()
        .returns::<Validity>(200)
        .errors(&[
            (400, "M_UNKNOWN", "`user_id` is missing"),
            (400, "M_INVALID_PARAM", "`user_id` is longer than 255 characters"),
            (
                400,
                "M_BAD_JSON",
                "a value has the wrong type, or `expiration_ts` is missing and accounts do not expire on this server",
            ),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let body: SetValidity = call.take().await?;
    if body.user_id.value().is_none() {
        return Err(MatrixError::unknown("Missing property 'user_id' in the request body"));
    }
    let user_id = body.user_id.read()?;
    if user_id.chars().count() > id::MAX_USER_ID {
        return Err(MatrixError::invalid_param("User ID may not be longer than 255 characters"));
    }
    let expiration_ts = match (body.expiration_ts.read()?, call.app.policy.account_validity_period_ms) {
        (Some(ts), _) => Millis::new(ts),
        (None, Some(period)) => call.now.plus(period),
        (None, None) => {
            return Err(MatrixError::bad_json(
                "'expiration_ts' is needed, since accounts do not expire on this server",
            ));
        }
    };
    let renewal_emails = body.enable_renewal_emails.read()?.unwrap_or(true);
    let ctx = call.admin_ctx()?;
    call.write(move |tx| validity::set(tx, &ctx, &user_id, expiration_ts, renewal_emails)).await?;
    reply::ok(&Validity { expiration_ts: expiration_ts.get() })
}
