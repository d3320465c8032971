//! Creates a service token.

use http::StatusCode;
use reeve_accounts::service_tokens;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{Millis, Scope};
use reeve_store::service_tokens::Terms;

use super::super::refuse_unknown;
use super::{IssuedServiceToken, NOT_HELD, terms};

body! {
    /// A service token to create.
    pub(crate) struct CreateServiceToken {
        /// The name, which never changes: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
        #[schema(example = "provisioning")]
        name: String,
        /// Its purpose, in at most 500 characters.
        description?: String,
        /// The scopes that it holds, at least one. The caller must hold them, too.
        #[schema(example = json!(["users:read", "users:write"]))]
        scopes: Vec<String>,
        /// The addresses and networks from which it can be used; absent or empty for anywhere.
        #[schema(example = json!(["10.0.0.0/8"]))]
        networks?: Vec<String>,
        /// When it expires, in milliseconds since the epoch; null or absent for never.
        #[schema(example = 4_102_444_800_000_i64)]
        expires_ts: Option<i64>,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::post(super::PATH, handle)
        .access(Access::Admin(Scope::ServicesWrite))
        .id("createServiceToken")
        .summary("Creates a service token, and returns its secret")
        .description("The secret is not stored, and cannot be read again. Unknown keys are refused.")
        .takes::<CreateServiceToken>()
        .returns::<IssuedServiceToken>(201)
        .errors(&[
            (400, "M_INVALID_PARAM", "a key, a scope, a network, the name or the expiry is not valid"),
            NOT_HELD,
            (409, "M_UNKNOWN", "a service token has the name"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<CreateServiceToken>().await?;
    refuse_unknown(&body.unknown)?;
    body::require([body.name.missing(), body.scopes.missing()])?;
    let name = body.name.read()?;
    let terms = Terms {
        description: body.description.read()?.unwrap_or_default(),
        scopes: terms::scopes(&body.scopes.read_or(terms::not_strings)?)?,
        networks: terms::networks(&body.networks.read_or(terms::not_strings)?.unwrap_or_default())?,
        expires_ts: body.expires_ts.read_or(terms::not_a_time)?.map(Millis::new),
    };
    let ctx = call.admin_ctx()?;
    let issued: Result<_, MatrixError> =
        call.write(move |tx| service_tokens::create(tx, &ctx, &name, &terms)).await;
    Ok(reply::json(StatusCode::CREATED, &IssuedServiceToken::new(&call, issued?)))
}
