//! Registration tokens.

mod create;
mod delete;
mod get;
mod list;
mod update;

use reeve_app::body::Key;
use reeve_app::json::{Integer, integer};
use reeve_app::{MatrixError, Route};
use reeve_model::Millis;
use reeve_store::registration_tokens::RegistrationToken;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub(crate) fn routes() -> Vec<Route> {
    vec![list::route(), create::route(), get::route(), update::route(), delete::route()]
}

/// A registration token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenView {
    /// The token that users enter.
    token: String,
    /// The number of accounts that can register with it; null for no limit.
    #[schema(required)]
    uses_allowed: Option<i64>,
    /// The number of registrations in progress with it.
    pending: i64,
    /// The number of accounts that registered with it.
    completed: i64,
    /// When it expires, in milliseconds since the epoch; null for never.
    #[schema(required)]
    expiry_time: Option<i64>,
}

impl From<RegistrationToken> for TokenView {
    fn from(token: RegistrationToken) -> Self {
        Self {
            token: token.token,
            uses_allowed: token.uses_allowed,
            pending: token.pending,
            completed: token.completed,
            expiry_time: token.expiry_ts.map(Millis::get),
        }
    }
}

fn no_such_token(token: &str) -> MatrixError {
    MatrixError::not_found(format!("No such registration token: {token}"))
}

/// Returns `uses_allowed` in a body: `None` if absent.
fn uses_allowed(key: &Key<Option<i64>>) -> Result<Option<Option<i64>>, MatrixError> {
    match key.value().map(|value| (value, integer(value))) {
        None => Ok(None),
        Some((Value::Null, _)) => Ok(Some(None)),
        Some((_, Integer::Is(uses))) if uses >= 0 => Ok(Some(Some(uses))),
        Some(_) => Err(MatrixError::invalid_param("uses_allowed must be a non-negative integer or null")),
    }
}

/// Returns `expiry_time` in a body, not before `now`: `None` if absent.
fn expiry_time(key: &Key<Option<i64>>, now: Millis) -> Result<Option<Option<Millis>>, MatrixError> {
    match key.value().map(|value| (value, integer(value))) {
        None => Ok(None),
        Some((Value::Null, _)) => Ok(Some(None)),
        Some((_, Integer::Is(expiry))) if expiry >= now.get() => Ok(Some(Some(Millis::new(expiry)))),
        Some((_, Integer::Is(_))) => Err(MatrixError::invalid_param("expiry_time must not be in the past")),
        Some(_) => Err(MatrixError::invalid_param("expiry_time must be an integer or null")),
    }
}
