//! Times as SCIM has them: texts of RFC 3339.

use reeve_model::Millis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns a time as text.
pub(crate) fn text(time: Millis) -> String {
    let nanos = i128::from(time.get()) * 1_000_000;
    let known = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    known.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Returns the time of a text; `None` if it is none.
pub(crate) fn parse(text: &str) -> Option<Millis> {
    let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from(nanos.div_euclid(1_000_000)).ok().map(Millis::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_times() {
        for (ms, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000_000, "2023-11-14T22:13:20Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        ] {
            assert_eq!(text(Millis::new(ms)), written);
            assert_eq!(parse(written), Some(Millis::new(ms)));
        }
        assert_eq!(parse("2023-11-14T23:13:20+01:00"), Some(Millis::new(1_700_000_000_000)));
        assert_eq!(parse("2023-11-14"), None);
    }
}
