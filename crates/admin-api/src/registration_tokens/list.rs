//! Lists registration tokens.

use reeve_http::{Answer, Call, Route, reply};
use reeve_store::registration_tokens;
use serde::Serialize;
use utoipa::ToSchema;

use super::TokenView;

/// Registration tokens, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    registration_tokens: Vec<TokenView>,
}

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/registration_tokens", handle)
        .summary("Lists registration tokens")
        .query(&[("valid", "true: those that can be used now; false: those that cannot; absent: all")])
        .returns::<TokenList>(200)
        .errors(&[(400, "M_INVALID_PARAM", "`valid` is neither true nor false")])
}

async fn handle(call: Call) -> Answer {
    let valid = call.query.boolean("valid")?;
    let now = call.now;
    let tokens = call.read(registration_tokens::all).await?;
    let wanted = tokens.into_iter().filter(|token| valid.is_none_or(|valid| token.is_valid(now) == valid));
    reply::ok(&TokenList { registration_tokens: wanted.map(TokenView::from).collect() })
}
