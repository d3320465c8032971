//! Pages to which others lead, and texts as parts of links.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The account.
pub(crate) const OVERVIEW: &str = "/_reeve/pages/account";
/// The password.
pub(crate) const PASSWORD: &str = "/_reeve/pages/account/password";

/// Returns a text as a part of a path or query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
