//! Pages of lists by offset, as the lists of the Synapse admin API have them.

use reeve_app::query::Query;
use reeve_app::{MatrixError, Param};
use reeve_store::Paging;

/// Default number of entries in a page.
const PAGE: i64 = 100;
/// Maximum number of entries in a page, whatever the request asks for.
const MAX: i64 = 10_000;

/// Returns the parameters that say which page of some things is requested.
pub(crate) fn params(things: &str) -> [Param; 2] {
    [
        Param::integer_of("from", format!("number of {things} before the first; 0 by default")),
        Param::integer_of("limit", format!("maximum number of {things}; {PAGE} by default, at most {MAX}")),
    ]
}

/// Returns the parameter of the direction, for a list that ascends by default.
pub(crate) fn ascending() -> Param {
    Param::direction("`f` ascending (the default) or `b` descending")
}

/// Returns the parameter of the direction, for a list that begins with the newest by default.
pub(crate) fn newest_first() -> Param {
    Param::direction("`b` for the newest first (the default) or `f`")
}

/// Reads which page is requested.
pub(crate) fn read(query: &Query) -> Result<Paging, MatrixError> {
    Ok(Paging { from: query.integer("from")?.unwrap_or(0), limit: limit(query)? })
}

/// Reads the size of the page, for a list that can begin elsewhere than at an offset.
pub(crate) fn limit(query: &Query) -> Result<i64, MatrixError> {
    Ok(query.integer("limit")?.unwrap_or(PAGE).min(MAX))
}

/// Returns the offset of the page after one with so many rows; `None` if it is the last.
pub(crate) fn next(paging: Paging, rows: usize, total: i64) -> Option<i64> {
    let Paging { from, limit } = paging;
    let rows = i64::try_from(rows).unwrap_or(limit);
    (from.saturating_add(limit) < total).then(|| from.saturating_add(rows))
}
