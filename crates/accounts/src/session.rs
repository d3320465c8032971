//! A session, as it is read by its access token for one request.

use reeve_db::{DbError, ReadTx};
use reeve_model::{Actor, Millis, Scope, User, UserNum};
use reeve_store::access_tokens;
use reeve_store::ratelimits::Override;
use sha2::{Digest, Sha256};

/// The SHA-256 digest under which a token is stored. Tokens are random and long, so that no salt is needed.
pub type TokenHash = [u8; 32];

/// The digest of a token.
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// A live session, read from the database for one request.
#[derive(Clone, Debug)]
pub struct Session {
    /// The digest of its access token.
    pub token_hash: TokenHash,
    /// The account it acts as.
    pub user: User,
    /// The number of the account that owns the token. It differs from `user.num` when an administrator acts as another
    /// account.
    pub owner_num: UserNum,
    /// The user id of the owner, if it differs.
    pub impersonator: Option<String>,
    /// The device; `None` for login-as tokens.
    pub device_id: Option<String>,
    /// The time at which the access token expires, in milliseconds.
    pub valid_until_ts: Option<Millis>,
    /// The time at which the account expires (account validity), in milliseconds.
    pub expiration_ts: Option<Millis>,
    /// True if the token was issued by a refresh and is now used for the first time.
    pub unconfirmed: bool,
    /// The message rate limit of the account, if it has one of its own.
    pub limit: Option<Override>,
    /// The same of the account that owns the token, if that is another one.
    pub owner_limit: Option<Override>,
}

impl Session {
    /// Returns true if the session has a scope. Administrators have all scopes.
    pub fn holds(&self, _scope: Scope) -> bool {
        self.user.admin
    }

    /// Returns the actor for the audit log: for a login-as token, the administrator behind it.
    pub fn actor(&self) -> Actor {
        Actor::User(self.impersonator.as_deref().unwrap_or(&self.user.user_id).into())
    }
}

/// Returns the session of a token, even if it has expired; `None` if the token is unknown.
pub fn find(tx: &ReadTx<'_>, token_hash: &TokenHash) -> Result<Option<Session>, DbError> {
    let Some(token) = access_tokens::find(tx, token_hash)? else { return Ok(None) };
    Ok(Some(Session {
        token_hash: *token_hash,
        owner_num: token.owner_num,
        impersonator: token.impersonator,
        device_id: token.device_id,
        valid_until_ts: token.valid_until_ts,
        expiration_ts: token.expiration_ts,
        unconfirmed: token.unconfirmed,
        limit: token.limit,
        owner_limit: token.owner_limit,
        user: token.user,
    }))
}
