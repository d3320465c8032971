//! The caller's session: identity, refresh, logout, and login tokens for other devices.

use reeve_accounts::sessions::{self, Spared};
use reeve_app::limits::Bucket;
use reeve_app::{Access, Answer, Call, MatrixError, OpenTo, Route, body, reply, shape};
use serde_json::{Value, json};

use crate::shapes;
use crate::uia::{self, Authentication};

body! {
    /// A refresh token.
    pub(crate) struct Refresh {
        refresh_token: String,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let always = OpenTo { locked: true, expired_account: true, expired_token: true, password_change: true };
    vec![
        Route::get("/_matrix/client/v3/account/whoami", whoami)
            .also("/_matrix/client/r0/account/whoami")
            .access(Access::Guest)
            .id("getTokenOwner")
            .returns::<shapes::account::WhoAmI>(200)
            .summary("Returns the account that the token acts as")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3accountwhoami"),
        Route::post("/_matrix/client/v3/refresh", refresh)
            .also("/_matrix/client/r0/refresh")
            .access(Access::Anybody)
            .id("refresh")
            .takes::<Refresh>()
            .returns::<shapes::account::Refreshed>(200)
            .summary("Exchanges a refresh token")
            .description("A token that was used up before ends the session: it was copied.")
            .errors(&[(
                401,
                "M_UNKNOWN_TOKEN",
                "the refresh token is unknown, used or expired, or that of a client of OAuth 2.0",
            )])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#refreshing-access-tokens"),
        Route::post("/_matrix/client/v3/logout", log_out)
            .also("/_matrix/client/r0/logout")
            .access(Access::User)
            .open_to(always)
            .id("logout")
            .returns::<shape::Empty>(200)
            .summary("Ends the session")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3logout"),
        Route::post("/_matrix/client/v3/logout/all", log_out_all)
            .also("/_matrix/client/r0/logout/all")
            .access(Access::User)
            .open_to(always)
            .id("logoutAll")
            .returns::<shape::Empty>(200)
            .summary("Ends all sessions of the account")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3logoutall"),
        Route::post("/_matrix/client/v1/login/get_token", login_token)
            .access(Access::User)
            .id("generateLoginToken")
            .takes::<Authentication>()
            .returns::<shapes::account::LoginToken>(200)
            .interactive()
            .summary("Creates a token with which another device logs in once")
            .errors(&[(404, "M_UNRECOGNIZED", "the settings do not allow it")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv1loginget_token"),
    ]
}

async fn whoami(call: Call) -> Answer {
    let session = call.session()?;
    let mut body = json!({ "user_id": session.user.user_id, "is_guest": session.user.is_guest });
    if let (Some(device_id), Value::Object(body)) = (&session.device_id, &mut body) {
        body.insert("device_id".to_owned(), json!(device_id));
    }
    reply::ok(&body)
}

async fn refresh(mut call: Call) -> Answer {
    let token = call.take::<Refresh>().await?.refresh_token;
    let token = token.read_or(|name| MatrixError::invalid_param(format!("Invalid param: {name}")))?;
    let (ctx, app) = (call.ctx(), std::sync::Arc::clone(&call.app));
    let outcome = call.write(move |tx| sessions::refresh(tx, &ctx, &app.policy, &token, None)).await?;
    let issued = outcome?;
    reply::ok(&json!({
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "expires_in_ms": issued.expires_in_ms,
    }))
}

async fn log_out(call: Call) -> Answer {
    call.act(sessions::log_out).await?;
    reply::empty()
}

async fn log_out_all(call: Call) -> Answer {
    let session = call.session()?.clone();
    // A login-as token belongs to the administrator, so it is not among those that end.
    call.write(move |tx| sessions::end_all(tx, session.user.num, &Spared::default())).await?;
    reply::empty()
}

async fn login_token(mut call: Call) -> Answer {
    if !call.app.policy.login_via_existing_session {
        return Err(MatrixError::unrecognized(404));
    }
    let user = call.user()?.clone();
    call.app.limiter.peek(Bucket::LoginToken(user.num), call.now)?;
    let body: Authentication = call.take().await?;
    uia::owner(&call, &body.auth).await?;
    call.app.limiter.check(Bucket::LoginToken(user.num), call.now)?;
    let ctx = call.ctx();
    let token = call.write(move |tx| sessions::create_login_token(tx, &ctx, &user)).await?;
    reply::ok(&json!({ "login_token": token, "expires_in_ms": sessions::LOGIN_TOKEN_MS }))
}
