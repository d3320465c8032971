//! Authentication and authorisation of requests.

use http::{HeaderMap, header};
use reeve_db::ReadTx;
use reeve_model::{MatrixError, Millis, Scope, Scopes, Service, Session, User};

use crate::admission::{Access, Admission};
use crate::caller::{Caller, Credentials, Token};
use crate::query::{ACCESS_TOKEN, Query};
use crate::state::State;
use crate::visit::Visit;

/// The error text for service tokens where the caller must be an account.
pub(crate) const NO_ACCOUNT: &str = "A service token belongs to no account and cannot be used here";
const NO_ADMIN: &str = "You are not a server admin";
/// The error text for accounts whose person must change the password first.
const PASSWORD_CHANGE: &str = "You must change your password before you can do this";

/// Returns the access token of a request; `None` if there is none.
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

/// Returns a request's token, hashed; `None` if there is none, or the route does not ask for one.
pub(crate) fn presented(
    admission: Admission,
    headers: &HeaderMap,
    query: &Query,
    visit: Option<&Visit>,
) -> Result<Option<Token>, MatrixError> {
    let required = match admission.access {
        Access::Anybody | Access::SharedSecret => return Ok(None),
        Access::Page | Access::SignedIn => return Ok(visit.map(|visit| Token::Browser(visit.token_hash()))),
        Access::Optional => false,
        Access::Guest | Access::User | Access::SelfOr(_) | Access::Admin(_) | Access::AnyAdmin => true,
    };
    match token(headers, query)? {
        Some(token) => Ok(Some(Token::read(&token))),
        None if required => Err(MatrixError::missing_token("Missing access token")),
        None => Ok(None),
    }
}

/// Returns the caller, whose credentials are valid. The caller's rights are checked by [`permit`].
pub(crate) fn authenticate<S: State>(
    state: &S,
    tx: &ReadTx<'_>,
    admission: Admission,
    credentials: Option<&Credentials>,
) -> Result<Caller, MatrixError> {
    let Some(credentials) = credentials else { return Ok(Caller::Nobody) };
    let caller = match (state.caller(tx, credentials)?, admission.access) {
        (Some(caller), _) => caller,
        (None, Access::Page | Access::SignedIn) => return Ok(Caller::Nobody),
        (
            None,
            Access::Anybody
            | Access::Optional
            | Access::Guest
            | Access::User
            | Access::SelfOr(_)
            | Access::Admin(_)
            | Access::AnyAdmin
            | Access::SharedSecret,
        ) => return Err(MatrixError::unknown_token("Invalid access token passed.", false)),
    };
    match &caller {
        Caller::Nobody => {}
        Caller::Session(session) => check_session(session, admission, credentials)?,
        Caller::Service(service) => check_service(service, credentials)?,
        Caller::Browser(browser) => {
            if browser.valid_until_ts <= credentials.now {
                return Ok(Caller::Nobody);
            }
            let checked = check_account(&browser.user, browser.expiration_ts, admission, credentials.now);
            // A page that needs nobody does without the session of an account that cannot be used.
            match (checked, admission.access == Access::Page) {
                (Ok(()), _) => {}
                (Err(_), true) => return Ok(Caller::Nobody),
                (Err(refused), false) => return Err(refused),
            }
        }
    }
    Ok(caller)
}

/// Returns the caller, whose credentials are valid and whom the route lets in.
pub(crate) fn admit<S: State>(
    state: &S,
    tx: &ReadTx<'_>,
    admission: Admission,
    credentials: Option<&Credentials>,
) -> Result<Caller, MatrixError> {
    let caller = authenticate(state, tx, admission, credentials)?;
    permit(admission, &caller)?;
    Ok(caller)
}

/// Returns the caller, as [`admit`] does, if the caller still holds the scopes that the context of a deed was made
/// with.
pub(crate) fn admit_again<S: State>(
    state: &S,
    tx: &ReadTx<'_>,
    admission: Admission,
    credentials: Option<&Credentials>,
    held: Scopes,
) -> Result<Caller, MatrixError> {
    let caller = admit(state, tx, admission, credentials)?;
    match held.beyond(caller.scopes()) {
        None => Ok(caller),
        Some(scope) => Err(lacks(&caller, scope)),
    }
}

fn check_service(service: &Service, credentials: &Credentials) -> Result<(), MatrixError> {
    if !service.is_valid(credentials.now) {
        return Err(MatrixError::unknown_token("Access token has expired", false));
    }
    if !service.admits(credentials.ip) {
        let (name, ip) = (&*service.name, credentials.ip);
        tracing::warn!(service = name, %ip, "a service token was used from outside its networks");
        return Err(MatrixError::forbidden("This service token cannot be used from your address"));
    }
    Ok(())
}

fn check_session(
    session: &Session,
    admission: Admission,
    credentials: &Credentials,
) -> Result<(), MatrixError> {
    let now = credentials.now;
    if session.valid_until_ts.is_some_and(|until| until < now) && !admission.open_to.expired_token {
        return Err(MatrixError::unknown_token("Access token has expired", true));
    }
    check_account(&session.user, session.expiration_ts, admission, now)
}

/// Checks that the account of a caller can be used.
fn check_account(
    user: &User,
    expiration_ts: Option<Millis>,
    admission: Admission,
    now: Millis,
) -> Result<(), MatrixError> {
    if expiration_ts.is_some_and(|until| until <= now) && !admission.open_to.expired_account {
        return Err(MatrixError::new(403, "ORG_MATRIX_EXPIRED_ACCOUNT", "User account has expired"));
    }
    if user.locked && !admission.open_to.locked {
        return Err(MatrixError::locked());
    }
    Ok(())
}

/// Applies the rules of the route table about callers. Refused callers still count as seen.
pub(crate) fn permit(admission: Admission, caller: &Caller) -> Result<(), MatrixError> {
    if !admission.open_to.password_change && caller.must_change_password() {
        return Err(MatrixError::forbidden(PASSWORD_CHANGE));
    }
    let user = caller.user();
    let open_to_guests = match admission.access {
        Access::Anybody | Access::Optional | Access::Guest | Access::SharedSecret | Access::Page => true,
        Access::User | Access::SelfOr(_) | Access::Admin(_) | Access::AnyAdmin | Access::SignedIn => false,
    };
    if !open_to_guests && user.is_some_and(|user| user.is_guest) {
        return Err(MatrixError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guest access not allowed"));
    }
    match admission.access {
        Access::Anybody | Access::Optional | Access::SharedSecret | Access::Page => {}
        Access::SignedIn => {
            if caller.browser().is_none() {
                return Err(MatrixError::missing_token("Nobody has signed in"));
            }
        }
        Access::Guest | Access::User => {
            if matches!(caller, Caller::Service(_)) {
                return Err(MatrixError::forbidden(NO_ACCOUNT));
            }
        }
        Access::SelfOr(_) if caller.user().is_some() => {}
        Access::SelfOr(scope) | Access::Admin(scope) => {
            if !caller.holds(scope) {
                return Err(lacks(caller, scope));
            }
        }
        Access::AnyAdmin => {
            if caller.scopes().is_empty() {
                return Err(MatrixError::forbidden(NO_ADMIN));
            }
        }
    }
    if let Some(text) = admission.suspended
        && user.is_some_and(|user| user.suspended)
    {
        return Err(MatrixError::new(403, "M_USER_SUSPENDED", text));
    }
    Ok(())
}

fn lacks(caller: &Caller, scope: Scope) -> MatrixError {
    MatrixError::forbidden(match caller {
        Caller::Service(_) => format!("The service token lacks the scope {scope}"),
        Caller::Nobody | Caller::Session(_) | Caller::Browser(_) if caller.scopes().is_empty() => {
            NO_ADMIN.to_owned()
        }
        Caller::Nobody | Caller::Session(_) | Caller::Browser(_) => {
            format!("Your role lacks the scope {scope}")
        }
    })
}
