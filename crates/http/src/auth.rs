//! Who sends a request.

use std::sync::Arc;

use http::{HeaderMap, header};
use reeve_accounts::sessions::{self, Session};
use reeve_db::DbError;

use crate::app::App;
use crate::error::MatrixError;
use crate::query::Query;
use crate::route::{Access, Route};

/// The access token of a request: `None` if there is none.
pub fn token(headers: &HeaderMap, query: &Query) -> Result<Option<String>, MatrixError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(query.lossy("access_token")) };
    if query.has("access_token") {
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

/// Finds out who calls, and whether they may call this route.
pub async fn authenticate(
    app: &App,
    route: &Route,
    token: Option<String>,
) -> Result<Option<Session>, MatrixError> {
    if matches!(route.access, Access::Anybody | Access::SharedSecret) {
        return Ok(None);
    }
    let Some(token) = token else {
        return if route.access == Access::Optional {
            Ok(None)
        } else {
            Err(MatrixError::missing_token("Missing access token"))
        };
    };
    let token_hash = sessions::hash_token(&token);
    let session = app.db.read(move |tx| -> Result<_, DbError> { sessions::find(tx, &token_hash) }).await?;
    let Some(session) = session else {
        return Err(MatrixError::unknown_token("Invalid access token passed.", false));
    };
    admit(&session, route, app.clock.now_ms())?;
    if session.unconfirmed {
        app.db.write(move |tx| sessions::confirm(tx, &token_hash)).await?;
    }
    Ok(Some(session))
}

/// The rules of the route table, in the order in which they are checked.
fn admit(session: &Session, route: &Route, now: i64) -> Result<(), MatrixError> {
    let user = &session.user;
    if session.valid_until_ts.is_some_and(|until| until < now) && !route.open_to.expired_token {
        return Err(MatrixError::unknown_token("Access token has expired", true));
    }
    if session.expiration_ts.is_some_and(|until| until <= now) && !route.open_to.expired_account {
        return Err(MatrixError::new(
            http::StatusCode::FORBIDDEN,
            "ORG_MATRIX_EXPIRED_ACCOUNT",
            "User account has expired",
        ));
    }
    if user.locked && !route.open_to.locked {
        return Err(MatrixError::locked());
    }
    if user.is_guest && matches!(route.access, Access::User | Access::Admin) {
        return Err(MatrixError::new(
            http::StatusCode::FORBIDDEN,
            "M_GUEST_ACCESS_FORBIDDEN",
            "Guest access not allowed",
        ));
    }
    if route.access == Access::Admin && !user.admin {
        return Err(MatrixError::forbidden("You are not a server admin"));
    }
    Ok(())
}

/// Who acts, as the audit log writes it: the administrator behind a login-as token, if it is one.
pub fn actor(session: &Session, ip: Arc<str>) -> reeve_model::Actor {
    let user_id = session.puppeteer.as_deref().unwrap_or(&session.user.user_id);
    reeve_model::Actor { user_id: Arc::from(user_id), ip: Some(ip) }
}
