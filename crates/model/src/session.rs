//! A session, as its access token finds it.

use sha2::{Digest, Sha256};

use crate::ctx::Actor;
use crate::num::{Millis, UserNum};
use crate::scopes::Scopes;
use crate::user::User;

/// The SHA-256 digest under which a token is stored. Tokens are random and long, so that no salt is needed.
pub type TokenHash = [u8; 32];

/// Returns the digest of a token.
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// The message rate limit of one account, where an administrator gave it one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitOverride {
    /// Actions per second; 0 for no limit at all.
    pub messages_per_second: i64,
    /// The number of actions allowed at once.
    pub burst_count: i64,
}

/// A session, read from the database for one request.
#[derive(Clone, Debug)]
pub struct Session {
    /// The digest of its access token.
    pub token_hash: TokenHash,
    /// The account that it acts as.
    pub user: User,
    /// The number of the account that owns the token. It differs from `user.num` when an administrator acts as another
    /// account.
    pub owner_num: UserNum,
    /// The user id of the owner, if it differs.
    pub impersonator: Option<String>,
    /// The scopes that it holds: those of the account, and for a login-as token of them those of its owner. None while its
    /// person must change the password.
    pub scopes: Scopes,
    /// True if its person must change the password before doing anything else that writes. An administrator who acts as the
    /// account need not, since the password is not theirs.
    pub must_change_password: bool,
    /// The device; `None` for login-as tokens.
    pub device_id: Option<String>,
    /// The time at which the access token expires, in milliseconds.
    pub valid_until_ts: Option<Millis>,
    /// The time at which the first of the two accounts expires: the one that it acts as, or its owner.
    pub expiration_ts: Option<Millis>,
    /// True if the token was issued by a refresh and is used for the first time.
    pub unconfirmed: bool,
    /// The override of the account that it acts as.
    pub limit: Option<RateLimitOverride>,
    /// The override of the owner, where that is another account.
    pub owner_limit: Option<RateLimitOverride>,
}

impl Session {
    /// Returns the actor for the audit log: for a login-as token, the administrator behind it.
    pub fn actor(&self) -> Actor {
        Actor::User(self.impersonator.as_deref().unwrap_or(&self.user.user_id).into())
    }
}
