//! Reeve's own administration API, and routes for operators and monitoring.

pub(crate) mod openapi;

mod audit;
mod health;
mod jobs;
mod metrics;
mod service_tokens;
mod whoami;

use reeve_app::json::Object;
use reeve_app::{Head, MatrixError, Route};
use reeve_model::Millis;

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = service_tokens::routes();
    routes.extend([
        audit::route(),
        jobs::list(),
        jobs::get(),
        health::route(),
        metrics::route(),
        whoami::route(),
    ]);
    routes
}

/// Refuses keys that an operation does not know: a misspelt restriction must not count as none.
pub(crate) fn refuse_unknown(unknown: &Object) -> Result<(), MatrixError> {
    match unknown.keys().next() {
        Some(key) => Err(MatrixError::invalid_param(format!("Unknown key '{key}'"))),
        None => Ok(()),
    }
}

/// Default number of entries in a page.
const PAGE: i64 = 100;
/// Maximum number of entries in a page.
const MAX: i64 = 1000;

/// The number of entries that a request asks for.
pub(crate) fn limit(call: &Head) -> Result<i64, MatrixError> {
    Ok(call.query.integer("limit")?.unwrap_or(PAGE).clamp(1, MAX))
}

/// The position that the `from` of a request names: a time and an id.
pub(crate) fn position(call: &Head) -> Result<Option<(Millis, String)>, MatrixError> {
    let Some(token) = call.query.ascii("from")? else { return Ok(None) };
    let parts =
        token.split_once('_').and_then(|(ts, id)| Some((Millis::new(ts.parse().ok()?), id.to_owned())));
    parts.map(Some).ok_or_else(bad_position)
}

pub(crate) fn bad_position() -> MatrixError {
    MatrixError::invalid_param("Query parameter 'from' must be a next_token of this list")
}

/// The `from` of the page after an entry.
pub(crate) fn token(ts: Millis, id: &impl std::fmt::Display) -> String {
    format!("{ts}_{id}")
}

/// Truncates entries, of which one more than the page was read, to the page; returns the last entry if there
/// are more.
pub(crate) fn cut<T>(entries: &mut Vec<T>, limit: i64) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if entries.len() <= limit {
        return None;
    }
    entries.truncate(limit);
    entries.last()
}
