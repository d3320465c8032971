//! Authentication and authorisation of requests.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use reeve_accounts::sessions::{self, Session, TokenHash};
use reeve_db::ReadTx;
use reeve_model::{Actor, Millis};

use crate::call::Head;
use crate::error::MatrixError;
use crate::query::{ACCESS_TOKEN, Query};
use crate::route::{Access, Route};

/// The access token of a request; `None` if there is none.
pub fn token(headers: &HeaderMap, query: &Query) -> Result<Option<String>, MatrixError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(query.lossy(ACCESS_TOKEN)) };
    if query.has(ACCESS_TOKEN) {
        return Err(MatrixError::missing_token(
            "Mixing Authorization headers and access_token query parameters.",
        ));
    }
    if values.next().is_some() {
        return Err(MatrixError::missing_token("Too many Authorization headers."));
    }
    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
    match value.split(' ').collect::<Vec<_>>().as_slice() {
        ["Bearer", token] if !token.is_empty() => Ok(Some((*token).to_owned())),
        _ => Err(MatrixError::missing_token("Invalid Authorization header.")),
    }
}

/// The credentials in a request: the digest of its token, or nothing if the route does not ask for one.
pub fn credentials(
    route: &Route,
    headers: &HeaderMap,
    query: &Query,
) -> Result<Option<TokenHash>, MatrixError> {
    if matches!(route.access, Access::Anybody | Access::SharedSecret) {
        return Ok(None);
    }
    match token(headers, query)? {
        Some(token) => Ok(Some(sessions::hash_token(&token))),
        None if route.access == Access::Optional => Ok(None),
        None => Err(MatrixError::missing_token("Missing access token")),
    }
}

/// The session of the caller, if it is live. The rights of the account are checked by [`permit`].
pub fn authenticate(
    tx: &ReadTx<'_>,
    route: &Route,
    credentials: Option<&TokenHash>,
    now: Millis,
) -> Result<Option<Session>, MatrixError> {
    let Some(token_hash) = credentials else { return Ok(None) };
    let session = sessions::find(tx, token_hash)?
        .ok_or_else(|| MatrixError::unknown_token("Invalid access token passed.", false))?;
    check_live(&session, route, now)?;
    Ok(Some(session))
}

/// Notes that a session was used: reads from now on show it.
pub fn note(head: &Head, session: &Session) {
    head.app.seen.note(session, &head.ip, head.user_agent(), head.now);
}

/// Stores that a token issued by a refresh was used.
pub async fn confirm(head: &Head, session: &Session) -> Result<(), MatrixError> {
    if session.unconfirmed {
        let token_hash = session.token_hash;
        head.app.db.write(move |tx| sessions::confirm(tx, &token_hash)).await?;
    }
    Ok(())
}

fn check_live(session: &Session, route: &Route, now: Millis) -> Result<(), MatrixError> {
    if session.valid_until_ts.is_some_and(|until| until < now) && !route.open_to.expired_token {
        return Err(MatrixError::unknown_token("Access token has expired", true));
    }
    if session.expiration_ts.is_some_and(|until| until <= now) && !route.open_to.expired_account {
        return Err(MatrixError::new(
            StatusCode::FORBIDDEN,
            "ORG_MATRIX_EXPIRED_ACCOUNT",
            "User account has expired",
        ));
    }
    if session.user.locked && !route.open_to.locked {
        return Err(MatrixError::locked());
    }
    Ok(())
}

/// Applies the rules of the route table about accounts. Refused callers still count as seen.
pub fn permit(route: &Route, session: &Session) -> Result<(), MatrixError> {
    let user = &session.user;
    if user.is_guest && matches!(route.access, Access::User | Access::Admin) {
        return Err(MatrixError::new(
            StatusCode::FORBIDDEN,
            "M_GUEST_ACCESS_FORBIDDEN",
            "Guest access not allowed",
        ));
    }
    if route.access == Access::Admin && !user.admin {
        return Err(MatrixError::forbidden("You are not a server admin"));
    }
    if let Some(text) = route.suspended
        && user.suspended
    {
        return Err(MatrixError::new(StatusCode::FORBIDDEN, "M_USER_SUSPENDED", text));
    }
    Ok(())
}

/// The actor for the audit log: the administrator behind a login-as token, if it is one.
pub fn actor(session: &Session) -> Actor {
    Actor::User(Arc::from(session.puppeteer.as_deref().unwrap_or(&session.user.user_id)))
}
