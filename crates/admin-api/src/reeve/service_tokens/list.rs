//! Lists service tokens.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;
use reeve_store::service_tokens;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{cut, from, limit, page};
use super::ServiceTokenView;

/// A page of the list of service tokens, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceTokenList {
    service_tokens: Vec<ServiceTokenView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn route() -> Route {
    Route::read(super::PATH, handle)
        .access(Access::Admin(Scope::ServicesRead))
        .id("listServiceTokens")
        .summary("Lists service tokens, the newest first, without their secrets")
        .query(page("service tokens"))
        .returns::<ServiceTokenList>(200)
        .errors(&[(
            400,
            "M_INVALID_PARAM",
            "`limit` is malformed, or `from` is not a `next_token` of this list",
        )])
}

fn handle(call: &Reading<'_>) -> Answer {
    let limit = limit(call)?;
    let mut tokens = service_tokens::list(call.tx, &from(call)?, limit + 1)?;
    let next_token = cut(&mut tokens, limit).map(|last| last.sort_key().to_string());
    let service_tokens = tokens.into_iter().map(|token| ServiceTokenView::new(call, token)).collect();
    reply::ok(&ServiceTokenList { service_tokens, next_token })
}
