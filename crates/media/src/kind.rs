//! Content sniffing: the kind of a file, by its first bytes.

use crate::name::{UNKNOWN_TYPE, essence, is_inline};

/// The number of bytes that are inspected.
pub(crate) const HEAD: usize = 8192;

/// The kinds of files that can be distinguished by their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Picture,
    /// Audio or video, which share containers.
    Recording,
    Other,
}

fn kind(essence: &str) -> Kind {
    match essence.split('/').next().unwrap_or_default() {
        "text" => Kind::Text,
        "image" => Kind::Picture,
        "audio" | "video" => Kind::Recording,
        _ if matches!(essence, "application/json" | "application/ld+json") => Kind::Text,
        _ => Kind::Other,
    }
}

/// The content type of a file with a declared type and these first bytes, and true if the bytes evidently
/// contradict the declaration. The latter only matters for types that may be shown inline. A missing type is
/// sniffed from the bytes, as far as possible.
pub fn judge(said: &str, head: &[u8]) -> (String, bool) {
    let head = head.get(..HEAD).unwrap_or(head);
    let found = infer::get(head).map(|found| found.mime_type());
    let said_essence = essence(said);
    if said_essence == UNKNOWN_TYPE {
        return (found.unwrap_or(said).to_owned(), false);
    }
    let disguised = is_inline(said)
        && match (kind(&said_essence), found) {
            // Signatures are short: text may begin with any of them.
            (Kind::Text, Some(found)) => {
                kind(found) != Kind::Text && head.iter().any(|byte| is_binary(*byte))
            }
            (Kind::Text | Kind::Other, None) => false,
            (_, None) => true,
            (said, Some(found)) => kind(found) != said,
        };
    (said.to_owned(), disguised)
}

/// True if a byte does not occur in text. <https://mimesniff.spec.whatwg.org/#binary-data-byte>
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const MP4: &[u8] = b"\0\0\0\x20ftypisom\0\0\x02\0";
    const EXE: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff";

    #[test]
    fn what_nobody_said_is_told_by_the_bytes() {
        for (head, found) in [
            (PNG, "image/png"),
            (MP4, "video/mp4"),
            (b"%PDF-1.7 ", "application/pdf"),
            (b"<html>", "text/html"),
            (b"hello", UNKNOWN_TYPE),
            (b"", UNKNOWN_TYPE),
        ] {
            assert_eq!(judge(UNKNOWN_TYPE, head), (found.to_owned(), false));
        }
    }

    #[test]
    fn what_is_said_stays_and_is_compared() {
        for (said, head, disguised) in [
            ("image/png", PNG, false),
            ("Image/JPEG; q=1", PNG, false),
            ("audio/mp4", MP4, false),
            ("image/png", MP4, true),
            ("video/mp4", PNG, true),
            ("image/png", b"<html><script>alert(1)</script>".as_slice(), true),
            ("image/png", b"not a picture", true),
            ("image/png", b"", true),
            ("audio/ogg", b"OggS\0\x02\0\0", false),
            ("text/plain", b"hello", false),
            ("text/plain", b"<html>", false),
            ("text/plain", b"BMW and MZ", false),
            ("text/plain", EXE, true),
            ("application/json", PNG, true),
            ("application/json", b"{}", false),
            ("text/csv", b"", false),
            // These are never shown inline.
            ("image/svg+xml", b"<html>", false),
            ("x/y", PNG, false),
        ] {
            assert_eq!(judge(said, head), (said.to_owned(), disguised), "{said} {head:?}");
        }
    }
}
