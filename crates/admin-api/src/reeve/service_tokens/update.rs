//! Changes what a service token is good for.

use reeve_accounts::service_tokens::{self, Change};
use reeve_app::{Access, Answer, Call, Route, reply};
use reeve_model::Scope;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{MISSING, NOT_HELD, ServiceTokenView, body};

/// The new values of a service token. Absent keys are not changed.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read key by key")]
pub(crate) struct UpdateServiceToken {
    /// Its purpose, in at most 500 characters.
    description: Option<String>,
    /// All scopes that it holds, at least one.
    #[schema(example = json!(["users:read"]))]
    scopes: Option<Vec<String>>,
    /// All addresses and networks from which it can be used; empty for anywhere.
    #[schema(example = json!(["10.0.0.0/8"]))]
    networks: Option<Vec<String>>,
    /// When it expires, in milliseconds since the epoch; null for never.
    #[schema(example = 4_102_444_800_000_i64)]
    expires_ts: Option<i64>,
}

pub(crate) fn route() -> Route {
    Route::put(super::ONE, handle)
        .access(Access::Admin(Scope::ServicesWrite))
        .id("updateServiceToken")
        .summary("Changes the description, scopes, networks and expiry of a service token")
        .description(
            "The caller must hold every scope that the token has afterwards. Unknown keys are refused.",
        )
        .takes::<UpdateServiceToken>()
        .returns::<ServiceTokenView>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "a key, a scope, a network or the expiry is not valid"),
            NOT_HELD,
            MISSING,
        ])
}

async fn handle(mut call: Call) -> Answer {
    let object = call.object().await?;
    body::check_keys(&object, &["description", "scopes", "networks", "expires_ts"])?;
    let change = Change {
        description: body::description(&object)?,
        scopes: body::scopes(&object)?,
        networks: body::networks(&object)?,
        expires_ts: body::expires_ts(&object)?,
    };
    let (ctx, name) = (call.admin_ctx()?, call.param("name"));
    let token = call.write(move |tx| service_tokens::change(tx, &ctx, &name, &change)).await?;
    reply::ok(&ServiceTokenView::new(&call, token))
}
