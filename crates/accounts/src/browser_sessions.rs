//! Sessions of people in browsers, on the pages of the server.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::encoding::hex;
use reeve_model::{BrowserSession, Ctx, Millis, Scopes, TokenHash, User, UserNum};
use reeve_store::browser_sessions::{self as stored, NewBrowserSession};
use reeve_store::{users, validity};
use serde_json::json;

use crate::error::Error;
use crate::login::{self, Proof};
use crate::policy::Policy;
use crate::{audit, mails};

/// The maximum number of browser sessions of an account; the oldest ones end.
const MAX: i64 = 50;
/// The longest time after which the use of a session is noted again, in milliseconds.
const NOTED_EVERY_MS: i64 = 3_600_000;
/// The part of the time without use, after which a session ends, in which its use is noted again.
const NOTED_PART: i64 = 10;
/// The longest name of a browser that is stored, in characters.
const MAX_USER_AGENT: usize = 300;
/// The number of bytes of the digest that make the id of a session.
const ID: usize = 16;

/// A browser in which somebody signs in.
#[derive(Clone, Debug)]
pub struct NewBrowser {
    /// The digest of the new secret in its cookie.
    pub token_hash: TokenHash,
    /// The digest of the secret that was in its cookie before, whose session ends.
    pub former: Option<TokenHash>,
    /// The browser, as it names itself.
    pub user_agent: String,
}

/// Returns the session with a digest, even if it has ended by time, with the rights that it has; `None` if there is none.
pub fn find(
    tx: &ReadTx<'_>,
    policy: &Policy,
    token_hash: &TokenHash,
) -> Result<Option<BrowserSession>, DbError> {
    let found = stored::find(tx, token_hash)?;
    Ok(found.map(|browser| {
        if policy.must_change_password(&browser.user) {
            BrowserSession { scopes: Scopes::NONE, must_change_password: true, ..browser }
        } else {
            browser
        }
    }))
}

/// Begins a session in a browser for the account of a proof, and returns the account. A refusal inside the result uses up a login
/// token; the outer error changes nothing.
pub fn sign_in(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    proof: &Proof,
    new: &NewBrowser,
) -> Result<Result<User, Error>, Error> {
    let user = match login::proven(tx, ctx, proof)? {
        Ok(user) => user,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if user.is_guest || policy.is_of_server(&user) {
        return Ok(Err(Error::BadCredentials));
    }
    if let Err(refusal) = login::check_may_log_in(&user) {
        return Ok(Err(refusal));
    }
    let expires = validity::find(tx, &user.user_id)?.map(|validity| validity.expiration_ts);
    if expires.is_some_and(|until| until <= ctx.now) {
        return Ok(Err(Error::Expired));
    }
    begin(tx, ctx, policy, &user, new)?;
    Ok(Ok(user))
}

/// Begins a session in a browser for an account that may have one.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    new: &NewBrowser,
) -> Result<(), DbError> {
    let former = match &new.former {
        Some(former) => stored::take(tx, former)?,
        None => None,
    };
    let user_agent: String = new.user_agent.chars().take(MAX_USER_AGENT).collect();
    stored::insert(
        tx,
        &NewBrowserSession {
            token_hash: &new.token_hash,
            user_num: user.num,
            created_ts: ctx.now,
            valid_until_ts: ends(policy, ctx.now).min(ctx.now.plus(policy.browser_session_longest_ms)),
            ip: ctx.ip.as_deref(),
            user_agent: &user_agent,
        },
    )?;
    stored::delete_oldest(tx, user.num, MAX)?;
    users::touch_last_seen(tx, user.num, ctx.now)?;
    if former != Some(user.num) {
        let details = json!({ "browser": true, "ip": ctx.ip.as_deref() });
        audit::logged_in(tx, ctx, user, &details)?;
        mails::signed_in(tx, ctx, policy, user, Some(&user_agent))?;
    }
    Ok(())
}

/// Returns the time at which a session that is used now ends unless it is used again.
fn ends(policy: &Policy, now: Millis) -> Millis {
    now.plus(policy.browser_session_idle_ms)
}

/// Ends the session of a cookie, if it has one.
pub fn sign_out(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<(), DbError> {
    stored::take(tx, token_hash).map(|_: Option<UserNum>| ())
}

/// Returns true if the use of a session is to be noted with [`note`]. That must not take so long that a session ends which is used.
pub fn is_to_be_noted(policy: &Policy, browser: &BrowserSession, now: Millis) -> bool {
    let every_ms = NOTED_EVERY_MS.min(policy.browser_session_idle_ms / NOTED_PART);
    now.since(browser.last_seen_ts) >= every_ms
}

/// Notes that a session was used, so that it ends later.
pub fn note(tx: &mut Tx<'_>, policy: &Policy, browser: &BrowserSession, now: Millis) -> Result<(), DbError> {
    let longest_ms = policy.browser_session_longest_ms;
    stored::touch(tx, &browser.token_hash, now, ends(policy, now), longest_ms)?;
    users::touch_last_seen(tx, browser.user.num, now)
}

/// Notes that the person of a session proved to be there with the password whose stored hash this is; `None` if the account has none.
/// Refuses if the account has another password by now.
pub fn prove(
    tx: &mut Tx<'_>,
    browser: &BrowserSession,
    password_hash: Option<&str>,
    now: Millis,
) -> Result<(), Error> {
    if users::password_hash(tx, browser.user.num)?.as_deref() != password_hash {
        return Err(Error::BadCredentials);
    }
    Ok(stored::prove(tx, &browser.token_hash, now)?)
}

/// Returns the id under which the person of an account finds a session in a list. It says nothing about the secret in the cookie.
pub fn id(token_hash: &TokenHash) -> String {
    hex(token_hash.get(..ID).unwrap_or_default())
}

/// Ends the session of an account that has this id; returns false if there is none.
pub fn end(tx: &mut Tx<'_>, user_num: UserNum, now: Millis, wanted: &str) -> Result<bool, DbError> {
    let found = stored::of_user(tx, user_num, now)?;
    match found.iter().find(|browser| id(&browser.token_hash) == wanted) {
        Some(browser) => Ok(stored::take(tx, &browser.token_hash)?.is_some()),
        None => Ok(false),
    }
}
