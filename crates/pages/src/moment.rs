//! Points in time on pages.

use reeve_model::Millis;
use serde::Serialize;

/// A point in time, for programs and for people.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Moment {
    /// As in `2026-11-21T03:40:00Z`.
    iso: String,
    /// As in `2026-11-21 03:40 UTC`.
    text: String,
}

impl From<Millis> for Moment {
    fn from(ts: Millis) -> Self {
        let utc = ts.utc();
        let minutes = utc.rsplit_once(':').map_or(&*utc, |(minutes, _)| minutes);
        Self { iso: format!("{}Z", utc.replace(' ', "T")), text: format!("{minutes} UTC") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let moment = Moment::from(Millis::new(1_709_164_859_999));
        assert_eq!((&*moment.iso, &*moment.text), ("2024-02-29T00:00:59Z", "2024-02-29 00:00 UTC"));
    }
}
