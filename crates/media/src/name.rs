//! File names and content types from clients.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters that are encoded in a name that is not ASCII.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');
/// Maximum length of a stored name, in characters.
const MAX: usize = 255;
/// The type of files with no type, or an invalid one.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Types that are safe to show inline.
/// <https://spec.matrix.org/v1.18/client-server-api/#serving-inline-content>
const INLINE: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

/// Invisible characters that control how text is displayed.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A name as it is stored: without control characters, and not too long; `None` if nothing is left.
pub fn clean(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !is_control(*c)).take(MAX).collect();
    Some(name).filter(|name| !name.trim().is_empty())
}

/// A type as it is stored: the declared one, if it is valid in a header.
pub fn media_type(said: Option<&str>) -> String {
    let possible = |said: &&str| {
        !said.is_empty()
            && said.len() <= MAX
            && said.contains('/')
            && said.bytes().all(|b| matches!(b, 0x20..=0x7e))
    };
    said.map(str::trim).filter(possible).unwrap_or(UNKNOWN_TYPE).to_owned()
}

/// A type without its parameters.
pub(crate) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// True if files of a type can be shown inline.
pub fn is_inline(media_type: &str) -> bool {
    INLINE.contains(&&*essence(media_type))
}

/// The value of `Content-Disposition` (RFC 6266): inline or attachment, with the file name. A name that is not
/// ASCII is given twice, as is and for old clients. Of a path only the last part is used.
pub fn disposition(inline: bool, name: Option<&str>) -> String {
    let kind = if inline { "inline" } else { "attachment" };
    let name = name.and_then(|name| name.rsplit(['/', '\\']).next()).and_then(clean);
    let Some(name) = name.filter(|name| !matches!(&**name, "." | "..")) else { return kind.to_owned() };
    let mut quoted = String::new();
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_ascii() => quoted.push(c),
            _ => quoted.push('_'),
        }
    }
    // Old clients take `%` in a quoted name for the beginning of an escape.
    if name.is_ascii() && !name.contains('%') {
        return format!("{kind}; filename=\"{quoted}\"");
    }
    let encoded = utf8_percent_encode(&name, ENCODED);
    format!("{kind}; filename=\"{quoted}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dispositions() {
        for (media_type, name, expected) in [
            ("image/png", None, "inline"),
            ("image/png", Some("a b.png"), "inline; filename=\"a b.png\""),
            ("Text/Plain; charset=utf-8", Some("a.txt"), "inline; filename=\"a.txt\""),
            ("text/html", Some("a.html"), "attachment; filename=\"a.html\""),
            ("image/svg+xml", Some("a.svg"), "attachment; filename=\"a.svg\""),
            ("x/y", Some("say \"hi\"\\.txt"), "attachment; filename=\".txt\""),
            ("x/y", Some("say \"hi\".txt"), "attachment; filename=\"say \\\"hi\\\".txt\""),
            ("x/y", Some("../../etc/passwd"), "attachment; filename=\"passwd\""),
            ("x/y", Some("C:\\x\\y.exe"), "attachment; filename=\"y.exe\""),
            ("x/y", Some(".."), "attachment"),
            ("x/y", Some("a\r\nSet-Cookie: x"), "attachment; filename=\"aSet-Cookie: x\""),
            ("x/y", Some("\u{202e}gpj.exe"), "attachment; filename=\"gpj.exe\""),
            ("x/y", Some("50%.txt"), "attachment; filename=\"50%.txt\"; filename*=UTF-8''50%25.txt"),
            ("x/y", Some("ä€.txt"), "attachment; filename=\"__.txt\"; filename*=UTF-8''%C3%A4%E2%82%AC.txt"),
        ] {
            assert_eq!(disposition(is_inline(media_type), name), expected);
        }
    }

    #[test]
    fn types() {
        for (said, kept) in [
            (None, UNKNOWN_TYPE),
            (Some(""), UNKNOWN_TYPE),
            (Some("x"), UNKNOWN_TYPE),
            (Some("text/plain; charset=utf-8"), "text/plain; charset=utf-8"),
            (Some(" image/png "), "image/png"),
            (Some("image/ä"), UNKNOWN_TYPE),
        ] {
            assert_eq!(media_type(said), kept);
        }
    }

    proptest! {
        #[test]
        fn every_name_makes_a_header(name in any::<String>(), inline: bool) {
            let value = disposition(inline, Some(&name));
            prop_assert!(value.bytes().all(|b| matches!(b, 0x20..=0x7e)));
            prop_assert!(value.starts_with("inline") || value.starts_with("attachment"));
        }
    }
}
