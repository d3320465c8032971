//! Sessions that begin and continue with what was granted: codes and refresh tokens.
//! <https://spec.matrix.org/v1.18/client-server-api/#grant-types>

use reeve_accounts::sessions::{self, Grant, Issued, MAX_DEVICE_NAME, NewSession};
use reeve_accounts::{Policy, login};
use reeve_db::{DbError, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Ctx, User, encoding};
use reeve_store::oauth_requests::{self, OAuthRequest};
use reeve_store::{oauth_sessions, users};
use subtle::ConstantTimeEq;

use crate::client::{Client, GrantType};
use crate::error::Error;
use crate::scope::ClientScope;

/// The tokens of a session, with its scope.
#[derive(Clone)]
pub struct Tokens {
    /// The tokens.
    pub issued: Issued,
    /// The scope.
    pub scope: String,
}

/// A code, as a client exchanges it.
#[derive(Clone)]
pub struct Exchange {
    /// The client.
    pub client_id: String,
    /// The code.
    pub code: String,
    /// The redirect URI of the request.
    pub redirect_uri: String,
    /// The secret whose digest was in the request.
    pub code_verifier: String,
}

/// Begins a session of an account for a client. A former session of the device ends.
pub(crate) fn begin_session(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    client: &Client,
    scope: &ClientScope,
) -> Result<Tokens, Error> {
    login::check_may_log_in(user)?;
    let new = NewSession {
        device_id: Some(scope.device_id.clone()),
        initial_device_display_name: Some(client.name("").chars().take(MAX_DEVICE_NAME).collect()),
        refreshable: true,
    };
    let grant = Grant { client_id: client.client_id.clone(), scope: scope.text.clone() };
    let issued = sessions::create_granted(tx, ctx, policy, user, &new, &grant)?;
    client.touch(tx, ctx.now)?;
    Ok(Tokens { issued, scope: grant.scope })
}

/// Exchanges a code, once. The refusal inside the result has ended the session that came from the code, since somebody has a
/// copy of it (RFC 6749, 4.1.2); the outer error changes nothing.
pub fn exchange(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    given: &Exchange,
) -> Result<Result<Tokens, Error>, Error> {
    let client = Client::find_for(tx, &given.client_id, GrantType::Code)?;
    let request = oauth_requests::by_code(tx, &hash_token(&given.code))?;
    let Some(OAuthRequest { made, user_num: Some(user_num), used_ts }) =
        request.filter(|request| request.made.client_id == given.client_id)
    else {
        return Err(Error::Grant("The code is unknown, or for another client"));
    };
    let scope = ClientScope::read(&made.scope)?;
    if let Some(used_ts) = used_ts {
        let session = oauth_sessions::find(tx, user_num, &scope.device_id)?;
        if session.is_some_and(|session| session.created_ts == used_ts) {
            tracing::warn!(%user_num, device_id = %scope.device_id, "a code was used again, and its session has ended");
            sessions::end_tokens(tx, user_num, &scope.device_id)?;
        }
        return Ok(Err(Error::Grant("The code was used before, so its session has ended")));
    }
    if made.ends_ts <= ctx.now {
        return Err(Error::Grant("The code has expired"));
    }
    if made.redirect_uri != given.redirect_uri {
        return Err(Error::Grant("The redirect URI is not that of the request"));
    }
    let challenge = encoding::url_base64(&hash_token(&given.code_verifier));
    if !bool::from(challenge.as_bytes().ct_eq(made.code_challenge.as_bytes())) {
        return Err(Error::Grant("The code verifier is wrong"));
    }
    let user = users::by_num(tx, user_num)?.ok_or(Error::Grant("The account is gone"))?;
    oauth_requests::set_used(tx, &made.id, ctx.now)?;
    begin_session(tx, ctx, policy, &user, &client, &scope).map(Ok)
}

/// Exchanges a refresh token of a client. The refusal inside the result may have ended the session; the outer error changes
/// nothing.
pub fn refresh(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    client_id: &str,
    refresh_token: &str,
) -> Result<Result<Tokens, Error>, Error> {
    Client::find_for(tx, client_id, GrantType::Refresh)?;
    let issued = match sessions::refresh(tx, ctx, policy, refresh_token, Some(client_id))? {
        Ok(issued) => issued,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let session = oauth_sessions::find(tx, issued.user_num, &issued.device_id)?;
    let scope = session.ok_or_else(|| DbError::Internal("the session is gone".to_owned()))?.scope;
    Ok(Ok(Tokens { issued, scope }))
}
