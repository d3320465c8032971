//! Reeve's own administration API, and what operators and their monitoring ask the server.

pub(crate) mod openapi;

mod audit;
mod health;
mod jobs;
mod metrics;

use reeve_http::{Head, MatrixError, Route};
use reeve_model::Millis;

pub(crate) fn routes() -> Vec<Route> {
    vec![audit::route(), jobs::list(), jobs::get(), health::route(), metrics::route()]
}

/// As many entries as a page has, unless asked for fewer or more.
const PAGE: i64 = 100;
/// As many entries as a page can have.
const MOST: i64 = 1000;

/// How many entries the page has that a request asks for.
fn limit(call: &Head) -> Result<i64, MatrixError> {
    Ok(call.query.integer("limit")?.unwrap_or(PAGE).clamp(1, MOST))
}

/// Where the page begins that a request asks for: the time and the id that its token holds.
fn position(call: &Head) -> Result<Option<(Millis, String)>, MatrixError> {
    let Some(token) = call.query.ascii("from")? else { return Ok(None) };
    let parts =
        token.split_once('_').and_then(|(ts, id)| Some((Millis::new(ts.parse().ok()?), id.to_owned())));
    parts.map(Some).ok_or_else(bad_position)
}

fn bad_position() -> MatrixError {
    MatrixError::invalid_param("Query parameter 'from' must be a next_token of this list")
}

/// The token of the page that begins after an entry.
fn token(ts: Millis, id: &impl std::fmt::Display) -> String {
    format!("{ts}_{id}")
}

/// Cuts what was read, one entry more than the page has, to the page; answers its last entry if there are more.
fn cut<T>(entries: &mut Vec<T>, limit: i64) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if entries.len() <= limit {
        return None;
    }
    entries.truncate(limit);
    entries.last()
}
