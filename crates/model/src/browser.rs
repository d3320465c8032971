//! A browser session: that of a person on the pages of the server, as the cookie of the browser finds it.

use crate::ctx::Actor;
use crate::num::Millis;
use crate::scopes::Scopes;
use crate::session::TokenHash;
use crate::user::User;

/// A browser session, read from the database for one request.
#[derive(Clone, Debug)]
pub struct BrowserSession {
    /// The digest of the secret in its cookie.
    pub token_hash: TokenHash,
    /// The account that signed in.
    pub user: User,
    /// The scopes of the account; none while its person must change the password.
    pub scopes: Scopes,
    /// True if its person must change the password before doing anything else that writes.
    pub must_change_password: bool,
    /// The time at which the person last proved to be there, in milliseconds.
    pub proven_ts: Millis,
    /// The time at which the session ends.
    pub valid_until_ts: Millis,
    /// The time of the last request that was noted.
    pub last_seen_ts: Millis,
    /// The time at which the account expires.
    pub expiration_ts: Option<Millis>,
}

impl BrowserSession {
    /// Returns the actor for the audit log.
    pub fn actor(&self) -> Actor {
        Actor::User(self.user.user_id.as_str().into())
    }
}
