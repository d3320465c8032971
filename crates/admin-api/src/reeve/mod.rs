//! Reeve's own administration API, and routes for operators and monitoring.

pub(crate) mod openapi;

mod audit;
mod batch;
mod health;
mod jobs;
mod metrics;
mod read;
mod roles;
mod service_tokens;
mod whoami;

use reeve_app::{Head, MatrixError, Route};
use reeve_model::Millis;

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = service_tokens::routes();
    routes.extend(roles::routes());
    routes.extend(batch::routes());
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

/// Default number of entries in a page.
const PAGE: i64 = 100;
/// Maximum number of entries in a page.
const MAX: i64 = 1000;

/// The number of entries that a request asks for.
fn limit(call: &Head) -> Result<i64, MatrixError> {
    Ok(call.query.integer("limit")?.unwrap_or(PAGE).clamp(1, MAX))
}

/// The position that the `from` of a request names: a time and an id.
fn position(call: &Head) -> Result<Option<(Millis, String)>, MatrixError> {
    let Some(token) = call.query.ascii("from")? else { return Ok(None) };
    let parts =
        token.split_once('_').and_then(|(ts, id)| Some((Millis::new(ts.parse().ok()?), id.to_owned())));
    parts.map(Some).ok_or_else(bad_position)
}

fn bad_position() -> MatrixError {
    MatrixError::invalid_param("Query parameter 'from' must be a next_token of this list")
}

/// The `from` of the page after an entry.
fn token(ts: Millis, id: &impl std::fmt::Display) -> String {
    format!("{ts}_{id}")
}

/// Truncates entries, of which one more than the page was read, to the page; returns the last entry if there
/// are more.
fn cut<T>(entries: &mut Vec<T>, limit: i64) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if entries.len() <= limit {
        return None;
    }
    entries.truncate(limit);
    entries.last()
}
