//! Login.
//! <https://spec.matrix.org/v1.18/client-server-api/#login>

use std::sync::Arc;

use reeve_accounts::sessions::{self, Issued, NewSession};
use reeve_accounts::{Error, users as deeds};
use reeve_http::json::Object;
use reeve_http::limits::Bucket;
use reeve_http::{Access, Answer, Call, Limit, MatrixError, Route, reply};
use reeve_model::User;
use reeve_store::users;
use serde_json::{Value, json};

use crate::credentials::{self, Verified};
use crate::shapes;
use crate::well_known;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#login";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/v3/login", flows)
            .also("/_matrix/client/r0/login")
            .access(Access::Anybody)
            .id("getLoginFlows")
            .returns::<shapes::account::LoginFlows>(200)
            .summary("Lists the login methods")
            .spec(SPEC),
        Route::post("/_matrix/client/v3/login", log_in)
            .also("/_matrix/client/r0/login")
            .access(Access::Anybody)
            .limit(Limit::Login)
            .id("login")
            .takes::<shapes::account::Login>()
            .returns::<shapes::account::LoggedIn>(200)
            .summary("Logs in with a password or a login token")
            .errors(&[
                (400, "M_INVALID_PARAM", "the request is incomplete or of an unknown type"),
                (400, "M_UNKNOWN", "a value is not valid, or login with passwords is disabled"),
                (400, "M_MISSING_PARAM", "a key is missing"),
                (400, "M_TOO_LARGE", "the name of the device is too long"),
                (400, "M_FORBIDDEN", "another account has the device id"),
                (401, "M_USER_LOCKED", "the account is locked"),
                (403, "M_FORBIDDEN", "the credentials are wrong"),
                (403, "M_USER_DEACTIVATED", "the account is deactivated"),
            ])
            .spec(SPEC),
    ]
}

async fn flows(call: Call) -> Answer {
    let mut flows = Vec::new();
    if call.app.policy.login_via_existing_session {
        flows.push(json!({ "type": "m.login.token", "get_login_token": true }));
    }
    if call.app.policy.password_enabled {
        flows.push(json!({ "type": "m.login.password" }));
    }
    reply::ok(&json!({ "flows": flows }))
}

async fn log_in(mut call: Call) -> Answer {
    let body = call.object().await?;
    let new = new_session(&body)?;
    let kind = match body.get("type") {
        None => return Err(MatrixError::bad_request("M_MISSING_PARAM", "Missing params: ['type']")),
        Some(Value::String(kind)) => kind.as_str(),
        Some(_) => return Err(MatrixError::invalid_param("Bad parameter: type")),
    };
    let policy = &call.app.policy;
    match kind {
        "m.login.password" if !policy.password_enabled => {
            return Err(MatrixError::unknown("Password login has been disabled."));
        }
        "m.login.password" | "m.login.token" => {}
        _ => return Err(MatrixError::invalid_param("Invalid login submission")),
    }
    let (user, issued) = if kind == "m.login.token" {
        by_token(&call, &body, new).await?
    } else {
        by_password(&call, &body, new).await?
    };
    let mut answer = session_body(&user, &issued, &call);
    if let Some(document) = well_known::document(&call) {
        answer.insert("well_known".to_owned(), document);
    }
    reply::ok(&answer)
}

/// The options of the new session in a request.
pub(crate) fn new_session(body: &Object) -> Result<NewSession, MatrixError> {
    let text = |key: &'static str| match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(MatrixError::invalid_param(format!("Bad parameter: {key}"))),
    };
    let refreshable = match body.get("refresh_token") {
        None => false,
        Some(Value::Bool(refreshable)) => *refreshable,
        Some(_) => return Err(MatrixError::unknown("`refresh_token` should be true or false.")),
    };
    Ok(NewSession {
        device_id: text("device_id")?,
        initial_device_display_name: text("initial_device_display_name")?,
        refreshable,
    })
}

/// The response for a new session.
pub(crate) fn session_body(user: &User, issued: &Issued, call: &Call) -> Object {
    let mut answer = Object::new();
    answer.insert("user_id".to_owned(), json!(user.user_id));
    answer.insert("home_server".to_owned(), json!(&*call.app.server_name));
    answer.insert("access_token".to_owned(), json!(issued.access_token));
    answer.insert("device_id".to_owned(), json!(issued.device_id));
    if let Some(expires_in_ms) = issued.expires_in_ms {
        answer.insert("expires_in_ms".to_owned(), json!(expires_in_ms));
    }
    if let Some(refresh_token) = &issued.refresh_token {
        answer.insert("refresh_token".to_owned(), json!(refresh_token));
    }
    answer
}

async fn by_password(call: &Call, body: &Object, new: NewSession) -> Result<(User, Issued), MatrixError> {
    let password = credentials::password(body)?;
    let identifier = credentials::identifier(body)?;
    let Verified { user, password_hash } = credentials::verify(call, identifier, &password).await?;
    sessions::check_may_log_in(&user)?;
    sessions::check(&new)?;
    call.app.limiter.check(Bucket::LoginAccount(user.user_id.clone()), call.now)?;
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.write(move |tx| {
        // Hashing takes time, in which the password may have been changed and the sessions ended.
        let user = deeds::find(tx, &user.user_id)?;
        if users::password_hash(tx, user.num)?.as_ref() != Some(&password_hash) {
            return Err(Error::BadCredentials);
        }
        sessions::check_may_log_in(&user)?;
        let issued = sessions::create(tx, &ctx, &app.policy, &user, &new)?;
        Ok((user, issued))
    })
    .await
}

async fn by_token(call: &Call, body: &Object, new: NewSession) -> Result<(User, Issued), MatrixError> {
    let token = match body.get("token") {
        Some(Value::String(token)) if call.app.policy.login_via_existing_session => token.clone(),
        None => return Err(MatrixError::bad_request("M_MISSING_PARAM", "Missing params: ['token']")),
        Some(_) => return Err(Error::BadLoginToken.into()),
    };
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    let outcome = call
        .write(move |tx| -> Result<_, Error> {
            // A refusal is a result here, not an error, so that it uses up the token, too.
            let Some(user) = sessions::take_login_token(tx, &ctx, &token)? else {
                return Ok(Err(Error::BadLoginToken));
            };
            if let Err(refusal) = sessions::check_may_log_in(&user).and_then(|()| sessions::check(&new)) {
                return Ok(Err(refusal));
            }
            let issued = sessions::create(tx, &ctx, &app.policy, &user, &new)?;
            Ok(Ok((user, issued)))
        })
        .await?;
    Ok(outcome?)
}
