//! Changes the terms of a service token.

use reeve_accounts::service_tokens::{self, Change};
use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::{Millis, Scope};

use super::super::refuse_unknown;
use super::{MISSING, NOT_HELD, ServiceTokenView, terms};

body! {
    /// The new values of a service token. Absent keys are not changed.
    pub(crate) struct UpdateServiceToken {
        /// Its purpose, in at most 500 characters.
        description?: String,
        /// All scopes that it holds, at least one.
        #[schema(example = json!(["users:read"]))]
        scopes?: Vec<String>,
        /// All addresses and networks from which it can be used; empty for anywhere.
        #[schema(example = json!(["10.0.0.0/8"]))]
        networks?: Vec<String>,
        /// When it expires, in milliseconds since the epoch; null for never.
        #[schema(example = 4_102_444_800_000_i64)]
        expires_ts: Option<i64>,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::put(super::ONE, handle)
        .access(Access::Admin(Scope::ServicesWrite))
        .id("updateServiceToken")
        .summary("Changes the description, scopes, networks and expiry of a service token")
        .description(
            "The caller must hold every scope that the token has before and afterwards. Unknown keys are refused.",
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
    let body = call.take::<UpdateServiceToken>().await?;
    refuse_unknown(&body.unknown)?;
    let expires_ts = body.expires_ts.read_or(terms::not_a_time)?.map(Millis::new);
    let change = Change {
        description: body.description.read()?,
        scopes: body.scopes.read_or(terms::not_strings)?.as_deref().map(terms::scopes).transpose()?,
        networks: body.networks.read_or(terms::not_strings)?.as_deref().map(terms::networks).transpose()?,
        expires_ts: body.expires_ts.value().map(|_| expires_ts),
    };
    let (ctx, name) = (call.admin_ctx()?, call.param("name"));
    let token = call.write(move |tx| service_tokens::change(tx, &ctx, &name, &change)).await?;
    reply::ok(&ServiceTokenView::new(&call, token))
}
