//! Reeve's own administration API, and routes for operators and monitoring.

pub(crate) mod openapi;

mod audit;
mod batch;
mod bin;
mod exports;
mod health;
mod jobs;
mod metrics;
pub(crate) mod read;
mod retention;
mod roles;
mod service_tokens;
mod webhooks;
mod whoami;

use std::str::FromStr;

use reeve_app::{Head, MatrixError, Param, Route};
use reeve_model::Millis;
use reeve_store::SortKey;

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = service_tokens::routes();
    routes.extend(roles::routes());
    routes.extend(webhooks::routes());
    routes.extend(batch::routes());
    routes.extend(bin::routes());
    routes.extend(retention::routes());
    routes.extend(exports::routes());
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

/// Returns the parameters that say which page of some things is requested.
pub(crate) fn page(things: &str) -> [Param; 2] {
    [
        Param::integer_of("limit", format!("maximum number of {things}, from 1 to {MAX}; {PAGE} by default")),
        Param::text("from", "the `next_token` of the page before"),
    ]
}

/// Returns the number of entries that a request asks for.
pub(crate) fn limit(call: &Head) -> Result<i64, MatrixError> {
    Ok(call.query.integer("limit")?.unwrap_or(PAGE).clamp(1, MAX))
}

/// Returns the key after which the page that a request asks for begins.
pub(crate) fn from<Id: Default + FromStr>(call: &Head) -> Result<SortKey<Id>, MatrixError> {
    let Some(token) = call.query.ascii("from")? else { return Ok(SortKey::at(Millis::MAX)) };
    SortKey::parse(&token).ok_or_else(bad_from)
}

/// Returns the error for a `from` that is no token of a list.
pub(crate) fn bad_from() -> MatrixError {
    MatrixError::invalid_param("Query parameter 'from' must be a next_token of this list")
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
