//! Pages to which others lead, and texts as parts of links.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The account.
pub(crate) const OVERVIEW: &str = "/_reeve/pages/account";
/// The password.
pub(crate) const PASSWORD: &str = "/_reeve/pages/account/password";
/// The e-mail addresses of the account.
pub(crate) const EMAILS: &str = "/_reeve/pages/account/emails";
/// The page on which people make accounts.
pub(crate) const REGISTER: &str = "/_reeve/pages/register";
/// The page for people who lost their password.
pub(crate) const RECOVER: &str = "/_reeve/pages/reset";

/// Returns a text as a part of a path or query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
