//! The time for the engine: durations, and the times of migrations. No rule or test depends on it, so it is
//! separate from the clock of the model.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "measures durations only")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a note for people in the table of migrations")]
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
