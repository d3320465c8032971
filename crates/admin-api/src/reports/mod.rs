//! Reports by users.

mod events;
mod users;
mod work;

use reeve_app::{Call, Head, MatrixError, Route};
use reeve_store::Paging;

use crate::paging;

pub(crate) fn routes() -> Vec<Route> {
    [events::routes(), users::routes(), work::routes()].into_iter().flatten().collect()
}

/// Returns the report id in the path; `None` for a number that cannot be an id.
fn report_id(call: &Head) -> Result<Option<i64>, MatrixError> {
    let text = call.param("report_id");
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        let text = "The report_id parameter must be a string representing a positive integer.";
        return Err(MatrixError::invalid_param(text));
    }
    Ok(text.parse().ok())
}

/// The requested page of a list.
#[derive(Clone, Copy)]
struct Page {
    paging: Paging,
    backwards: bool,
}

impl Page {
    fn of(call: &Call) -> Result<Self, MatrixError> {
        let paging = paging::read(&call.query)?;
        Ok(Self { paging, backwards: call.query.backwards()?.unwrap_or(true) })
    }

    /// Returns the offset of the next page, if there is one.
    fn next(&self, rows: usize, total: i64) -> Option<i64> {
        paging::next(self.paging, rows, total)
    }
}
