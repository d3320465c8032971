//! The caller, and what it may do.

use reeve_app::{Access, Answer, Caller, MatrixError, Reading, Route, reply};
use reeve_model::{ActorKind, Millis, Scopes, User};
use serde::Serialize;
use utoipa::ToSchema;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Whoami {
    /// `user` for an account, `service` for a service token.
    #[schema(value_type = String)]
    kind: ActorKind,
    /// The user id, or the name of the service token.
    name: String,
    /// The role of the account; null without one, and for a service token.
    #[schema(required)]
    role: Option<String>,
    /// The scopes that the caller holds.
    #[schema(value_type = Vec<String>)]
    scopes: Scopes,
    /// When the token of the request expires, in milliseconds; null for never.
    #[schema(required)]
    expires_ts: Option<i64>,
}

pub(crate) fn route() -> Route {
    Route::read("/_reeve/admin/v1/whoami", handle)
        .access(Access::AnyAdmin)
        .id("whoamiAsAdmin")
        .summary("Returns the caller, its role and its scopes")
        .returns::<Whoami>(200)
}

fn handle(call: &Reading<'_>) -> Answer {
    let (kind, name, expires_ts) = match call.caller() {
        Caller::Nobody => return Err(MatrixError::missing_token("Missing access token")),
        Caller::Browser(browser) => {
            (ActorKind::User, browser.user.user_id.clone(), Some(browser.valid_until_ts))
        }
        Caller::Session(session) => (ActorKind::User, session.user.user_id.clone(), session.valid_until_ts),
        Caller::Service(service) => {
            let expires_ts = [service.expires_ts, service.secret_until_ts].into_iter().flatten().min();
            (ActorKind::Service, service.name.to_string(), expires_ts)
        }
    };
    let role = call.caller().user().and_then(User::role).map(str::to_owned);
    let scopes = call.caller().scopes();
    reply::ok(&Whoami { kind, name, role, scopes, expires_ts: expires_ts.map(Millis::get) })
}
