//! Sessions: beginning, refreshing and ending them.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{BrowserSession, Ctx, Millis, Scope, Scopes, Session, TokenHash, User, UserNum, random};
use reeve_store::access_tokens::{self, NewAccessToken};
use reeve_store::oauth_sessions::OAuthSession;
use reeve_store::refresh_tokens::{NewRefreshToken, Refreshed};
use reeve_store::{
    browser_sessions, dehydrated_devices, device_changes, devices, login_tokens, oauth_device_requests,
    oauth_requests, oauth_sessions, openid_tokens, pushers, refresh_tokens, roles, users,
};
use serde_json::json;

use crate::error::Error;
use crate::policy::Policy;
use crate::{audit, mails, rights};

/// The longest device id, in characters.
const MAX_DEVICE_ID: usize = 512;
/// The longest display name of a device, in characters.
pub const MAX_DEVICE_NAME: usize = 100;
/// The lifetime of a login token, in milliseconds.
pub const LOGIN_TOKEN_MS: i64 = 120_000;
/// The lifetime of an OpenID token, in milliseconds.
pub const OPENID_TOKEN_MS: i64 = 3_600_000;
/// The maximum number of valid OpenID tokens of an account; the oldest ones end.
const MAX_OPENID_TOKENS: i64 = 50;
/// The beginning of a refresh token.
const REFRESH_TOKEN: &str = "rvr_";
/// The number of characters after the beginning that all refresh tokens of a session share: their family.
const FAMILY_LENGTH: usize = 24;
/// The number of the other characters.
const SECRET_LENGTH: usize = 24;

/// A session to begin.
#[derive(Clone, Debug, Default)]
pub struct NewSession {
    /// The device; a new one if this is `None` or blank.
    pub device_id: Option<String>,
    /// The display name of a new device.
    pub initial_device_display_name: Option<String>,
    /// True if the client can refresh its token.
    pub refreshable: bool,
}

/// The consent from which a session with OAuth 2.0 begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The client.
    pub client_id: String,
    /// The scope.
    pub scope: String,
}

/// The tokens of a session, which only its client may know.
#[derive(Clone)]
pub struct Issued {
    /// The account.
    pub user_num: UserNum,
    /// The access token.
    pub access_token: String,
    /// The device.
    pub device_id: String,
    /// The lifetime of the access token, in milliseconds; `None` if it ends only by revocation.
    pub expires_in_ms: Option<i64>,
    /// The refresh token.
    pub refresh_token: Option<String>,
}

/// Checks the values that a client chose for a new session.
pub fn check(new: &NewSession) -> Result<(), Error> {
    if new.device_id.as_ref().is_some_and(|id| id.chars().count() > MAX_DEVICE_ID) {
        return Err(Error::DeviceIdTooLong);
    }
    if new.initial_device_display_name.as_ref().is_some_and(|name| name.chars().count() > MAX_DEVICE_NAME) {
        return Err(Error::DeviceNameTooLong);
    }
    Ok(())
}

/// Begins a session of an account on a device. A former session of the device ends.
pub fn create(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    new: &NewSession,
) -> Result<Issued, Error> {
    begin(tx, ctx, policy, user, new, None)
}

/// Begins a session, as [`create`] does, for a client of OAuth 2.0.
pub fn create_granted(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    new: &NewSession,
    grant: &Grant,
) -> Result<Issued, Error> {
    begin(tx, ctx, policy, user, new, Some(grant))
}

fn begin(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    new: &NewSession,
    grant: Option<&Grant>,
) -> Result<Issued, Error> {
    check(new)?;
    let device_id = new.device_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| random::capitals(10));
    let name = new.initial_device_display_name.as_deref();
    if dehydrated_devices::of_user(tx, user.num)?.is_some_and(|device| device.device_id == device_id) {
        // A session must not take over the keys of the dehydrated device.
        crate::devices::delete(tx, user.num, &device_id)?;
    }
    if crate::devices::insert(tx, ctx, &policy.limits, user.num, &device_id, name)? {
        let details = json!({ "device_id": device_id, "display_name": name, "ip": ctx.ip.as_deref() });
        audit::logged_in(tx, ctx, user, &details)?;
        mails::signed_in(tx, ctx, policy, user, name)?;
    } else {
        end_tokens(tx, user.num, &device_id)?;
    }
    if let Some(Grant { client_id, scope }) = grant {
        let session =
            OAuthSession { client_id: client_id.clone(), scope: scope.clone(), created_ts: ctx.now };
        oauth_sessions::insert(tx, user.num, &device_id, &session)?;
    }
    let lifetime_ms = if new.refreshable {
        Some(refreshable_ms(policy, grant.is_some()))
    } else {
        policy.token_lifetime_ms
    };
    let family = new.refreshable.then(|| random::secret(FAMILY_LENGTH));
    let to = Recipient { user_num: user.num, device_id, lifetime_ms, family };
    Ok(issue(tx, ctx, policy, to, Confirmation::AtOnce)?)
}

/// Returns the lifetime of an access token that can be refreshed, in milliseconds.
fn refreshable_ms(policy: &Policy, is_oauth: bool) -> i64 {
    if is_oauth { policy.oauth_token_lifetime_ms } else { policy.refreshable_token_lifetime_ms }
}

/// The session for which tokens are issued.
struct Recipient {
    user_num: UserNum,
    device_id: String,
    /// The lifetime of the access token, in milliseconds.
    lifetime_ms: Option<i64>,
    /// The family of its refresh tokens, if it has any.
    family: Option<String>,
}

/// The time at which tokens replace the former tokens of their session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Confirmation {
    /// At once.
    AtOnce,
    /// At the first use of one of them.
    AtFirstUse,
}

/// Issues the tokens of a session.
fn issue(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    to: Recipient,
    confirmation: Confirmation,
) -> Result<Issued, DbError> {
    let Recipient { user_num, device_id, lifetime_ms, family } = to;
    let access_token = format!("rva_{}", random::secret(40));
    let token_hash = hash_token(&access_token);
    access_tokens::insert(
        tx,
        &NewAccessToken {
            token_hash: &token_hash,
            owner_num: user_num,
            acting_num: user_num,
            device_id: Some(&device_id),
            valid_until_ts: lifetime_ms.map(|lifetime| ctx.now.plus(lifetime)),
            created_ts: ctx.now,
            unconfirmed: confirmation == Confirmation::AtFirstUse,
        },
    )?;
    let refresh_token =
        family.as_ref().map(|family| format!("{REFRESH_TOKEN}{family}{}", random::secret(SECRET_LENGTH)));
    if let (Some(refresh_token), Some(family)) = (&refresh_token, &family) {
        let valid_until = policy.refresh_token_lifetime_ms.map(|lifetime| ctx.now.plus(lifetime));
        refresh_tokens::insert(
            tx,
            &NewRefreshToken {
                token_hash: &hash_token(refresh_token),
                family_hash: &hash_token(family),
                user_num,
                device_id: &device_id,
                access_token_hash: &token_hash,
                valid_until_ts: valid_until,
                created_ts: ctx.now,
            },
        )?;
    }
    Ok(Issued { user_num, access_token, device_id, expires_in_ms: lifetime_ms, refresh_token })
}

/// Exchanges a refresh token of a client of OAuth 2.0, or of another one if `client_id` is `None`. The old tokens work until
/// one of the new ones is used, so that a client can repeat the request if the response was lost; a repetition replaces the
/// unused tokens.
///
/// A token of the same family as those of a session that does not work any more was copied: either its client presents it or a
/// thief. The refusal inside the result has then ended the tokens of the session (RFC 9700, 4.14.2); the device stays, so that
/// its person can log in again with its keys. The outer error changes nothing.
pub fn refresh(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    refresh_token: &str,
    client_id: Option<&str>,
) -> Result<Result<Issued, Error>, Error> {
    let refused = |text, soft_logout| Ok(Err(Error::BadRefreshToken(text, soft_logout)));
    // In a token from before there were families, the same characters become the family of those that follow.
    let family = refresh_token.strip_prefix(REFRESH_TOKEN).and_then(|rest| rest.get(..FAMILY_LENGTH));
    let Some(family) = family else { return refused("invalid refresh token", false) };
    let old_hash = hash_token(refresh_token);
    let Some(old) = refresh_tokens::find(tx, &old_hash)? else {
        let Some(Refreshed { user_num, device_id }) = refresh_tokens::of_family(tx, &hash_token(family))?
        else {
            return refused("refresh token does not exist", false);
        };
        // A login may give the device any id, also one with line breaks.
        tracing::warn!(%user_num, ?device_id, "a refresh token was used again, and its session has ended");
        end_tokens(tx, user_num, &device_id)?;
        return refused("The refresh token was used before, so its session has ended", true);
    };
    let session = oauth_sessions::find(tx, old.user_num, &old.device_id)?;
    if session.as_ref().map(|session| session.client_id.as_str()) != client_id {
        return refused("The refresh token is not for this client", false);
    }
    if old.valid_until_ts.is_some_and(|until| until < ctx.now) {
        return refused("The supplied refresh token has expired", true);
    }
    if let Some(unused) = old.successor
        && let Some(token) = refresh_tokens::find(tx, &unused)?
    {
        access_tokens::delete(tx, &token.access_token_hash)?;
        refresh_tokens::delete(tx, &unused)?;
    }
    drop_predecessor(tx, &old_hash)?;
    let to = Recipient {
        user_num: old.user_num,
        device_id: old.device_id,
        lifetime_ms: Some(refreshable_ms(policy, session.is_some())),
        family: Some(family.to_owned()),
    };
    let issued = issue(tx, ctx, policy, to, Confirmation::AtFirstUse)?;
    if let Some(new) = &issued.refresh_token {
        refresh_tokens::set_successor(tx, &old_hash, &hash_token(new))?;
    }
    Ok(Ok(issued))
}

/// Returns the session of a token, even if it has expired, with the rights that it has; `None` if the token is unknown.
pub fn find(tx: &ReadTx<'_>, policy: &Policy, token_hash: &TokenHash) -> Result<Option<Session>, DbError> {
    let found = access_tokens::find(tx, token_hash)?;
    Ok(found.map(|session| {
        let is_own = session.owner_num == session.user.num;
        if is_own && policy.must_change_password(&session.user) {
            Session { scopes: Scopes::NONE, must_change_password: true, ..session }
        } else {
            session
        }
    }))
}

/// Confirms a token that a refresh issued, at its first use: the tokens that it replaces stop working.
pub fn confirm(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<(), DbError> {
    let Some(token) = access_tokens::find(tx, token_hash)? else { return Ok(()) };
    access_tokens::confirm(tx, token_hash)?;
    if let Some(device_id) = &token.device_id
        && let Some(refresh) = refresh_tokens::of_access_token(tx, token.owner_num, device_id, token_hash)?
    {
        drop_predecessor(tx, &refresh)?;
    }
    Ok(())
}

fn drop_predecessor(tx: &mut Tx<'_>, refresh_hash: &TokenHash) -> Result<(), DbError> {
    if let Some(old) = refresh_tokens::predecessor(tx, refresh_hash)? {
        refresh_tokens::delete(tx, &old.token_hash)?;
        access_tokens::delete(tx, &old.access_token_hash)?;
    }
    Ok(())
}

/// Lets an administrator act as another account, with a token that belongs to the administrator, has no device, and is
/// invisible to the account's owner. If the administrator already acts as another account, the new token belongs to the
/// administrator, too, and ends with the administrator's rights. Returns the token.
pub fn login_as(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    valid_until_ts: Option<Millis>,
) -> Result<String, Error> {
    let user = rights::to_change(tx, ctx, user_id)?;
    if ctx.is_by(user_id) {
        return Err(Error::Refused("Cannot use admin API to login as self"));
    }
    let owner = ctx.account().ok_or(Error::NeedsAccount)?;
    let owner_num = users::num(tx, owner)?.ok_or(Error::UserNotFound)?;
    if user.deactivated {
        return Err(Error::Deactivated);
    }
    let access_token = format!("rva_{}", random::secret(40));
    access_tokens::insert(
        tx,
        &NewAccessToken {
            token_hash: &hash_token(&access_token),
            owner_num,
            acting_num: user.num,
            device_id: None,
            valid_until_ts,
            created_ts: ctx.now,
            unconfirmed: false,
        },
    )?;
    audit::record(tx, ctx, "user.login_as", user_id, &json!({ "valid_until_ms": valid_until_ts }))?;
    Ok(access_token)
}

/// Ends the tokens with which an account acts as others, if a change took away the right to have them. Accounts whose role
/// holds [`Scope::SessionsImpersonate`] have the right unless they are locked, suspended or deactivated. The tokens end also when
/// the account is required to change its password; those from a time in which the requirement rests end with the right.
pub(crate) fn end_impersonation(tx: &mut Tx<'_>, before: &User, after: &User) -> Result<(), DbError> {
    let may = |user: &User| -> Result<bool, DbError> {
        let is_restricted = user.locked || user.suspended || user.deactivated;
        Ok(!is_restricted && roles::scopes(tx, user)?.contains(Scope::SessionsImpersonate))
    };
    let is_required = after.password_change_required && !before.password_change_required;
    if may(before)? && (is_required || !may(after)?) {
        access_tokens::delete_acting_as_others(tx, after.num)?;
    }
    Ok(())
}

/// Creates a token with which another device of the account logs in once.
pub fn create_login_token(tx: &mut Tx<'_>, ctx: &Ctx, user: &User) -> Result<String, DbError> {
    let token = format!("rvl_{}", random::secret(40));
    login_tokens::insert(tx, &hash_token(&token), user.num, ctx.now.plus(LOGIN_TOKEN_MS))?;
    Ok(token)
}

/// Returns the account of a session, for what only its owner may do. Refuses one in which an administrator acts as the account.
pub fn owner(session: &Session) -> Result<&User, Error> {
    if session.owner_num == session.user.num { Ok(&session.user) } else { Err(Error::ActsAsAnother) }
}

/// Creates a token with which an account proves its identity to another service. An administrator who acts as the
/// account cannot.
pub fn create_openid_token(tx: &mut Tx<'_>, ctx: &Ctx, session: &Session) -> Result<String, Error> {
    owner(session)?;
    let token = format!("rvo_{}", random::secret(40));
    openid_tokens::insert(tx, &hash_token(&token), session.user.num, ctx.now.plus(OPENID_TOKEN_MS))?;
    openid_tokens::delete_oldest(tx, session.user.num, MAX_OPENID_TOKENS)?;
    Ok(token)
}

/// Returns the account that made an OpenID token, if the token is valid and the account in use.
pub fn openid_user(tx: &ReadTx<'_>, now: Millis, token: &str) -> Result<Option<User>, DbError> {
    match openid_tokens::find(tx, &hash_token(token))? {
        Some(token) if token.valid_until_ts >= now => {
            Ok(users::by_num(tx, token.user_num)?.filter(|user| !user.deactivated && !user.locked))
        }
        Some(_) | None => Ok(None),
    }
}

/// Ends the session of a request: deletes its device, or only the token if it is a login-as token.
pub fn log_out(tx: &mut Tx<'_>, session: &Session) -> Result<(), DbError> {
    match &session.device_id {
        Some(device_id) => crate::devices::delete(tx, session.owner_num, device_id).map(|_: bool| ()),
        None => access_tokens::delete(tx, &session.token_hash).map(|_: u64| ()),
    }
}

/// The session or device that stays when the sessions of an account end; none by default.
#[derive(Clone, Debug, Default)]
pub struct Spared {
    /// The access token, which stays with its refresh token.
    pub token_hash: Option<TokenHash>,
    /// The id of a device that stays. Its session stays only if it is that of the token.
    pub device_id: Option<String>,
    /// The browser session that stays, by the digest of its secret.
    pub browser: Option<TokenHash>,
}

impl Spared {
    /// Spares a session.
    pub fn session(session: &Session) -> Self {
        let (token_hash, device_id) = (Some(session.token_hash), session.device_id.clone());
        Self { token_hash, device_id, browser: None }
    }

    /// Spares a browser session.
    pub fn browser(browser: &BrowserSession) -> Self {
        Self { browser: Some(browser.token_hash), ..Self::default() }
    }
}

/// Ends every session of an account: its devices with their pushers and keys, the access tokens that it owns (login-as
/// tokens included), its browser sessions, refresh, login and OpenID tokens, and what clients of OAuth 2.0 could begin a session
/// with.
pub fn end_all(tx: &mut Tx<'_>, user_num: UserNum, spared: &Spared) -> Result<(), DbError> {
    let mut fewer = false;
    for device in devices::of_user(tx, user_num)? {
        if spared.device_id.as_ref() != Some(&device.device_id) {
            fewer |= crate::devices::remove(tx, user_num, &device.device_id)?;
        }
    }
    if fewer {
        device_changes::mark(tx, user_num)?;
    }
    pushers::delete_without_device(tx, user_num)?;
    refresh_tokens::delete_of_user(tx, user_num, spared.token_hash.as_ref())?;
    login_tokens::delete_of_user(tx, user_num)?;
    openid_tokens::delete_of_user(tx, user_num)?;
    oauth_requests::delete_of_user(tx, user_num)?;
    oauth_device_requests::delete_of_user(tx, user_num)?;
    access_tokens::delete_of_owner(tx, user_num, spared.token_hash.as_ref())?;
    browser_sessions::delete_of_user(tx, user_num, spared.browser.as_ref())?;
    Ok(())
}

/// Ends every session of an account for an administrator; returns false if it had none.
pub fn log_out_everywhere(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str) -> Result<bool, Error> {
    let user = rights::to_change(tx, ctx, user_id)?;
    let had_devices = !devices::of_user(tx, user.num)?.is_empty();
    let had_tokens = access_tokens::delete_of_owner(tx, user.num, None)? > 0;
    let had_browsers = browser_sessions::delete_of_user(tx, user.num, None)? > 0;
    end_all(tx, user.num, &Spared::default())?;
    let had_any = had_devices || had_tokens || had_browsers;
    if had_any {
        audit::record(tx, ctx, "user.logout", user_id, &json!({}))?;
    }
    Ok(had_any)
}

/// Ends the session of a device, and keeps the device.
pub fn end_tokens(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    access_tokens::delete_of_device(tx, user_num, device_id)?;
    refresh_tokens::delete_of_device(tx, user_num, device_id)?;
    oauth_sessions::delete_of_device(tx, user_num, device_id)?;
    Ok(())
}

/// Deletes login and OpenID tokens, and browser sessions, whose time is over.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    login_tokens::prune(tx, now)?;
    openid_tokens::prune(tx, now)?;
    browser_sessions::prune(tx, now)?;
    Ok(())
}
