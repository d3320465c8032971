//! Authentication and authorisation of requests.

use http::{HeaderMap, header};
use reeve_db::ReadTx;
use reeve_model::session::hash_token;
use reeve_model::{MatrixError, Millis, TokenHash};

use crate::admission::{Access, Admission};
use crate::caller::{Caller, Credentials};
use crate::query::{ACCESS_TOKEN, Query};
use crate::state::State;

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

/// The digest of a request's token; `None` if there is none, or the route does not ask for one.
pub(crate) fn token_hash(
    admission: Admission,
    headers: &HeaderMap,
    query: &Query,
) -> Result<Option<TokenHash>, MatrixError> {
    let required = match admission.access {
        Access::Anybody | Access::SharedSecret => return Ok(None),
        Access::Optional => false,
        Access::Guest | Access::User | Access::Admin(_) => true,
    };
    match token(headers, query)? {
        Some(token) => Ok(Some(hash_token(&token))),
        None if required => Err(MatrixError::missing_token("Missing access token")),
        None => Ok(None),
    }
}

/// The caller, whose credentials are valid. The caller's rights are checked by [`permit`].
pub(crate) fn authenticate<S: State>(
    tx: &ReadTx<'_>,
    admission: Admission,
    credentials: Option<&Credentials>,
) -> Result<Caller, MatrixError> {
    let Some(credentials) = credentials else { return Ok(Caller::Nobody) };
    let caller = S::caller(tx, credentials)?
        .ok_or_else(|| MatrixError::unknown_token("Invalid access token passed.", false))?;
    check_live(&caller, admission, credentials.now)?;
    Ok(caller)
}

/// The caller, whose credentials are valid and whom the route lets in.
pub(crate) fn admit<S: State>(
    tx: &ReadTx<'_>,
    admission: Admission,
    credentials: Option<&Credentials>,
) -> Result<Caller, MatrixError> {
    let caller = authenticate::<S>(tx, admission, credentials)?;
    permit(admission, &caller)?;
    Ok(caller)
}

fn check_live(caller: &Caller, admission: Admission, now: Millis) -> Result<(), MatrixError> {
    let session = match caller {
        Caller::Nobody => return Ok(()),
        Caller::Session(session) => session,
    };
    if session.valid_until_ts.is_some_and(|until| until < now) && !admission.open_to.expired_token {
        return Err(MatrixError::unknown_token("Access token has expired", true));
    }
    if session.expiration_ts.is_some_and(|until| until <= now) && !admission.open_to.expired_account {
        return Err(MatrixError::new(403, "ORG_MATRIX_EXPIRED_ACCOUNT", "User account has expired"));
    }
    if session.user.locked && !admission.open_to.locked {
        return Err(MatrixError::locked());
    }
    Ok(())
}

/// Applies the rules of the route table about callers. Refused callers still count as seen.
pub(crate) fn permit(admission: Admission, caller: &Caller) -> Result<(), MatrixError> {
    let user = caller.user();
    let open_to_guests = match admission.access {
        Access::Anybody | Access::Optional | Access::Guest | Access::SharedSecret => true,
        Access::User | Access::Admin(_) => false,
    };
    if !open_to_guests && user.is_some_and(|user| user.is_guest) {
        return Err(MatrixError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guest access not allowed"));
    }
    if let Access::Admin(scope) = admission.access
        && !caller.holds(scope)
    {
        return Err(MatrixError::forbidden("You are not a server admin"));
    }
    if let Some(text) = admission.suspended
        && user.is_some_and(|user| user.suspended)
    {
        return Err(MatrixError::new(403, "M_USER_SUSPENDED", text));
    }
    Ok(())
}
