//! Lists registration tokens.

use reeve_app::{Access, Answer, Param, Reading, Route, reply};
use reeve_model::Scope;
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
    Route::read("/_synapse/admin/v1/registration_tokens", handle)
        .access(Access::Admin(Scope::RegistrationRead))
        .id("listRegistrationTokens")
        .summary("Lists registration tokens")
        .query([Param::boolean(
            "valid",
            "`true` for usable tokens only, `false` for unusable tokens only; all by default",
        )])
        .returns::<TokenList>(200)
        .errors(&[(400, "M_INVALID_PARAM", "`valid` is neither true nor false")])
}

fn handle(call: &Reading<'_>) -> Answer {
    let valid = call.query.boolean("valid")?;
    let tokens = registration_tokens::all(call.tx)?;
    let wanted =
        tokens.into_iter().filter(|token| valid.is_none_or(|valid| token.is_valid(call.now) == valid));
    reply::ok(&TokenList { registration_tokens: wanted.map(TokenView::from).collect() })
}
