//! The page at which somebody continues after signing in. It comes from a link, so that it is limited to pages of this server.

use crate::links::encoded;

/// The longest path and query, in bytes.
const MAX: usize = 8192;
/// The beginning of all paths at which somebody can continue.
const ROOT: &str = "/_reeve/";

/// Returns the path and query if they lead to a page of this server.
pub(crate) fn local(to: Option<String>) -> Option<String> {
    to.filter(|to| is_local(to))
}

/// Returns the query parameter by which another page leads there, too, as a link adds it to others; blank if there is none.
pub(crate) fn kept(to: Option<&str>) -> String {
    to.map(|to| format!("&to={}", encoded(to))).unwrap_or_default()
}

fn is_local(to: &str) -> bool {
    let path = to.split('?').next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#');
    to.len() <= MAX
        && to.starts_with(ROOT)
        && to.bytes().all(is_plain)
        && !path.contains("//")
        && path.split('/').all(|segment| !is_dots(segment))
}

/// Returns true for a segment by which browsers leave a folder.
fn is_dots(segment: &str) -> bool {
    matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_server() {
        for to in [
            "/_reeve/pages/account",
            "/_reeve/pages/account?action=org.matrix.profile",
            "/_reeve/pages/authorize?redirect_uri=https://client.example/a&state=%2F..",
        ] {
            assert_eq!(local(Some(to.to_owned())).as_deref(), Some(to));
        }
        let long = format!("/_reeve/{}", "x".repeat(MAX));
        for to in [
            "",
            "/",
            "/_matrix/client/versions",
            "https://evil.example/_reeve/",
            "//evil.example/_reeve/",
            "/_reeve//evil.example",
            "/\\evil.example/_reeve/",
            "/_reeve/\\evil.example",
            "/_reeve/../evil",
            "/_reeve/./x",
            "/_reeve/x/%2E%2e/y",
            "/_reeve/a b",
            "/_reeve/\r\nSet-Cookie:x",
            "/_reeve/ä",
            "/_reeve/x#y",
            &long,
        ] {
            assert_eq!(local(Some(to.to_owned())), None, "{to}");
        }
        assert_eq!(local(None), None);
    }
}
