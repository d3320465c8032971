//! Range requests (RFC 9110, section 14).

use std::ops::Range;

use http::{HeaderMap, header};

/// The part to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The whole file.
    Whole,
    /// These bytes, at least one.
    Range(Range<u64>),
    /// Nothing: the range lies beyond the file.
    Beyond,
}

/// Returns the part that the headers of a request select. A request for several ranges, or with an outdated tag, gets
/// the whole file.
pub(crate) fn asked(headers: &HeaderMap, etag: &str, length: u64) -> Part {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(header::RANGE) else { return Part::Whole };
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag) {
        return Part::Whole;
    }
    parse(range, length)
}

fn parse(text: &str, length: u64) -> Part {
    let number = |text: &str| -> Option<u64> {
        // A number that overflows lies beyond every file.
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = || -> Option<Part> {
        let (unit, range) = text.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let range = if first.is_empty() {
            length.saturating_sub(number(last)?)..length
        } else {
            let first = number(first)?;
            let end = if last.is_empty() { length } else { number(last)?.saturating_add(1) };
            if end <= first && !last.is_empty() {
                return None;
            }
            first..end.min(length)
        };
        Some(if range.is_empty() { Part::Beyond } else { Part::Range(range) })
    };
    range().unwrap_or(Part::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-0", Part::Range(0..1)),
            ("bytes=2-4", Part::Range(2..5)),
            ("Bytes=7-", Part::Range(7..10)),
            ("bytes=-3", Part::Range(7..10)),
            ("bytes=-30", Part::Range(0..10)),
            ("bytes=5-99999999999999999999999", Part::Range(5..10)),
            ("bytes=10-", Part::Beyond),
            ("bytes=10-20", Part::Beyond),
            ("bytes=99999999999999999999999-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(parse(text, 10), expected, "{text}");
        }
        assert_eq!(parse("bytes=0-", 0), Part::Beyond);
    }

    #[test]
    fn of_an_older_file() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=0-0".parse().unwrap());
        assert_eq!(asked(&headers, "\"a\"", 10), Part::Range(0..1));
        headers.insert(header::IF_RANGE, "\"a\"".parse().unwrap());
        assert_eq!(asked(&headers, "\"a\"", 10), Part::Range(0..1));
        headers.insert(header::IF_RANGE, "\"b\"".parse().unwrap());
        assert_eq!(asked(&headers, "\"a\"", 10), Part::Whole);
    }
}
