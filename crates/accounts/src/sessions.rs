//! Sessions: who a token stands for.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::User;
use reeve_store::{access_tokens, users};
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
    /// The token it was found by.
    pub token_hash: TokenHash,
    /// The account it acts as.
    pub user: User,
    /// The number of the account the token belongs to: differs from `user.num` when an administrator acts as
    /// somebody else.
    pub owner_num: i64,
    /// The user id of the owner, where it differs.
    pub puppeteer: Option<String>,
    /// The device; none for login-as tokens.
    pub device_id: Option<String>,
    /// When the access token expires, in milliseconds.
    pub valid_until_ts: Option<i64>,
    /// When the account expires (account validity), in milliseconds.
    pub expiration_ts: Option<i64>,
    /// Issued by a refresh and used for the first time now.
    pub unconfirmed: bool,
}

/// The session of a token, expired ones included; `None` if no such token is known.
pub fn find(tx: &ReadTx<'_>, token_hash: &TokenHash) -> Result<Option<Session>, DbError> {
    let Some(token) = access_tokens::find(tx, token_hash)? else { return Ok(None) };
    let puppeteer = if token.owner_num == token.user.num { None } else { users::user_id(tx, token.owner_num)? };
    Ok(Some(Session {
        token_hash: *token_hash,
        owner_num: token.owner_num,
        puppeteer,
        device_id: token.device_id,
        valid_until_ts: token.valid_until_ts,
        expiration_ts: token.expiration_ts,
        unconfirmed: token.unconfirmed,
        user: token.user,
    }))
}

/// The first use of a token that a refresh issued: what it replaced stops working.
pub fn confirm(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<(), DbError> {
    access_tokens::confirm(tx, token_hash)
}
