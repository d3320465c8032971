//! The cookie by which the pages of the server know a browser again, before and after somebody signs in.
//!
//! The secret in the cookie becomes that of a browser session only when the session begins, with a new one. From it comes the
//! token that the forms of pages carry, so that a form of another site, which cannot know it, is refused.

use http::{HeaderMap, HeaderValue, header};
use reeve_model::session::hash_token;
use reeve_model::{TokenHash, encoding, random};
use subtle::ConstantTimeEq;

/// The name of the cookie. The prefix makes browsers refuse one that another host, or a page without TLS, wants to set.
const NAME: &str = "__Host-reeve";
/// The name of the cookie of a server that is reached without TLS.
const PLAIN_NAME: &str = "reeve";
/// The length of the secret, in characters.
const LENGTH: usize = 43;
/// The name of the field of forms that holds their token.
pub const FORM_TOKEN: &str = "form_token";
/// The lifetime of the cookie, in seconds. The end of a session is in the database.
const MAX_AGE: u32 = 400 * 24 * 3600;

/// A browser, as its cookie names it.
#[derive(Clone)]
pub struct Visit {
    secret: String,
    is_new: bool,
}

impl Visit {
    /// Returns the browser of a request; `None` if it sends no cookie that this server can have set.
    pub(crate) fn find(headers: &HeaderMap, is_secure: bool) -> Option<Self> {
        let name = name(is_secure);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, secret) = pairs.find(|(key, _)| *key == name)?;
        let is_ours = secret.len() == LENGTH && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_ours.then(|| Self { secret: secret.to_owned(), is_new: false })
    }

    /// Returns a browser that gets a new cookie.
    pub fn begin() -> Self {
        Self { secret: random::secret(LENGTH), is_new: true }
    }

    /// Returns true if the browser does not have the cookie yet.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Returns the digest of the secret, under which a browser session is stored.
    pub fn token_hash(&self) -> TokenHash {
        hash_token(&self.secret)
    }

    /// Returns the token for the forms of pages that are shown to the browser.
    pub fn form_token(&self) -> String {
        encoding::url_base64(&hash_token(&format!("form {}", self.secret)))
    }

    /// Returns true if a form was on a page that was shown to the browser.
    pub(crate) fn showed(&self, form_token: &str) -> bool {
        self.form_token().as_bytes().ct_eq(form_token.as_bytes()).into()
    }

    /// Returns the value of `Set-Cookie` that gives the cookie to the browser.
    pub fn set_cookie(&self, is_secure: bool) -> Option<HeaderValue> {
        let (name, secret) = (name(is_secure), &self.secret);
        let secure = if is_secure { "; Secure" } else { "" };
        let text = format!("{name}={secret}; Path=/; Max-Age={MAX_AGE}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).ok()
    }
}

const fn name(is_secure: bool) -> &'static str {
    if is_secure { NAME } else { PLAIN_NAME }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cookie: &str, is_secure: bool) -> Option<Visit> {
        let value = HeaderValue::try_from(cookie).unwrap();
        Visit::find(&HeaderMap::from_iter([(header::COOKIE, value)]), is_secure)
    }

    #[test]
    fn a_browser_is_known_by_its_cookie() {
        for is_secure in [true, false] {
            let new = Visit::begin();
            let cookie = new.set_cookie(is_secure).unwrap();
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
            let known = found(&format!("a=b; {cookie}; c"), is_secure).unwrap();
            assert!(new.is_new() && !known.is_new());
            assert_eq!(known.token_hash(), new.token_hash());
            assert!(known.showed(&new.form_token()));
            assert!(!known.showed("") && !known.showed(&Visit::begin().form_token()));
            assert!(found(cookie, !is_secure).is_none());
        }
    }

    #[test]
    fn other_cookies_are_ignored() {
        for cookie in ["", "reeve", "reeve=", "reeve=short", &format!("reeve={}", "ä".repeat(43))] {
            assert!(found(cookie, false).is_none(), "{cookie}");
        }
    }

    #[test]
    fn the_cookie_is_for_this_host_and_not_for_scripts() {
        let cookie = Visit::begin().set_cookie(true).unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("__Host-reeve="), "{cookie}");
        for part in ["; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
            assert!(cookie.contains(part), "{part}");
        }
    }
}
