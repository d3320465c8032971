//! The caller's account: password, deactivation, third-party ids.

use std::sync::Arc;
use std::time::Duration;

use reeve_accounts::emails::Proof;
use reeve_accounts::sessions::Spared;
use reeve_accounts::{Error, deactivate as deactivation, password_change};
use reeve_app::credentials::MAX_PASSWORD;
use reeve_app::limits::{Bucket, Source};
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Caller, MatrixError, Reading, Route, body, reply, shape};
use reeve_store::threepids;
use serde_json::{Value, json};

use crate::recovery::{choose_password, chosen};
use crate::shapes;
use crate::uia;

/// The time that a response waits for the job that clears the account.
const JOB_WAIT: Duration = Duration::from_secs(2);

body! {
    /// A new password.
    #[expect(clippy::struct_field_names, reason = "the keys are the specification's")]
    pub(crate) struct NewPassword {
        new_password: Option<String>,
        logout_devices?: bool,
        auth: Option<AnyObject>,
    }

    /// The options of a deactivation.
    pub(crate) struct Deactivation {
        erase?: bool,
        id_server: Option<String>,
        auth: Option<AnyObject>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/_matrix/client/v3/account/password", change_password)
            .also("/_matrix/client/r0/account/password")
            .access(Access::Optional)
            .before_password_change()
            .id("changePassword")
            .takes::<NewPassword>()
            .returns::<shape::Empty>(200)
            .interactive()
            .summary("Changes the password")
            .description(
                "Without an access token, the stage `m.login.email.identity` proves that an e-mail address of the account \
                 is the caller's, if the server sends e-mail. All sessions of the account end then, unless \
                 `logout_devices` is false.",
            )
            .errors(&[
                (403, "M_GUEST_ACCESS_FORBIDDEN", "the caller is a guest"),
                (403, "M_THREEPID_AUTH_FAILED", "the proof was used meanwhile, or its time is over"),
                (429, "M_LIMIT_EXCEEDED", "too many requests without an access token from this address"),
                (400, "M_PASSWORD_TOO_SHORT", "the password is shorter than the server requires"),
                (400, "M_PASSWORD_NO_DIGIT", "the password lacks a digit, which the server requires"),
                (400, "M_PASSWORD_NO_SYMBOL", "the password lacks a symbol, which the server requires"),
                (
                    400,
                    "M_PASSWORD_NO_UPPERCASE",
                    "the password lacks an uppercase letter, which the server requires",
                ),
                (
                    400,
                    "M_PASSWORD_NO_LOWERCASE",
                    "the password lacks a lowercase letter, which the server requires",
                ),
                (
                    400,
                    "M_WEAK_PASSWORD",
                    "the password is the name of the account, or must be changed and is the present one",
                ),
                (400, "M_UNKNOWN", "the password was changed meanwhile"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3accountpassword"),
        Route::post("/_matrix/client/v3/account/deactivate", deactivate)
            .also("/_matrix/client/r0/account/deactivate")
            .access(Access::User)
            .id("deactivateAccount")
            .takes::<Deactivation>()
            .returns::<shapes::account::Unbound>(200)
            .interactive()
            .summary("Deactivates the account, and optionally erases it")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3accountdeactivate"),
        Route::read("/_matrix/client/v3/account/3pid", list_threepids)
            .also("/_matrix/client/r0/account/3pid")
            .access(Access::User)
            .id("getAccount3PIDs")
            .returns::<shapes::account::Threepids>(200)
            .summary("Lists the third-party ids of the account")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3account3pid"),
    ]
}

async fn change_password(mut call: Call) -> Answer {
    let body: NewPassword = call.take().await?;
    let wrong = |_: &str| MatrixError::bad_json("'new_password' must be a string of at most 512 characters");
    let password = body.new_password.read_or(wrong)?.filter(|password| !password.is_empty());
    if password.as_ref().is_some_and(|password| password.chars().count() > MAX_PASSWORD) {
        return Err(wrong(body.new_password.name()));
    }
    let end_sessions = body.logout_devices.read()?.unwrap_or(true);
    if matches!(call.caller(), Caller::Nobody) {
        return recover(&call, &body, password, end_sessions).await;
    }
    let user = call.user()?.clone();
    if user.is_guest {
        return Err(MatrixError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guest access not allowed"));
    }
    if let Some(password) = &password {
        call.app.policy.password_rules.check(password, Some(&user.user_id)).map_err(Error::from)?;
    }
    uia::owner_or_mailbox(&call, &body.auth).await?;
    let password = password.ok_or_else(no_password)?;
    if !call.app.policy.password_enabled {
        return Err(Error::PasswordChangeDisabled.into());
    }
    let spared = if end_sessions { Some(Spared::session(call.session()?)) } else { None };
    let chosen = chosen(&call, &user, &password, spared).await?;
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.act(move |tx, session| password_change::change(tx, &ctx, &app.policy, &session.user, &chosen))
        .await?;
    reply::empty()
}

/// Sets a new password for somebody without a session, who proves by a mail that an address of the account is theirs.
async fn recover(call: &Call, body: &NewPassword, password: Option<String>, end_sessions: bool) -> Answer {
    if !call.app.policy.mail.enabled {
        return Err(MatrixError::missing_token("Missing access token"));
    }
    call.app.limiter.check(Bucket::RegistrationAttempts(Source::of(&call.ip)), call.now)?;
    if let Some(password) = &password {
        call.app.policy.password_rules.check(password, None).map_err(Error::from)?;
    }
    let passed = uia::mailbox(call, &body.auth).await?;
    let password = password.ok_or_else(no_password)?;
    let sid = passed.email.clone().ok_or(Error::EmailNotConfirmed)?;
    choose_password(call, Proof::Confirmed(sid), &password, end_sessions).await?;
    uia::finish(call, &passed).await?;
    reply::empty()
}

fn no_password() -> MatrixError {
    MatrixError::bad_request("M_MISSING_PARAM", "Missing params: password")
}

async fn deactivate(mut call: Call) -> Answer {
    let body: Deactivation = call.take().await?;
    let erase = body.erase.read()?.unwrap_or(false);
    body.id_server.read()?;
    uia::owner(&call, &body.auth).await?;
    let (ctx, policy) = (call.ctx(), call.app.policy.clone());
    let job = call
        .act(move |tx, session| deactivation::deactivate(tx, &ctx, &policy, &session.user, erase))
        .await?;
    call.app.jobs.wait(&job, JOB_WAIT).await?;
    reply::ok(&json!({ "id_server_unbind_result": "success" }))
}

fn list_threepids(call: &Reading<'_>) -> Answer {
    let threepids: Vec<Value> = threepids::of_user(call.tx, call.user()?.num)?
        .into_iter()
        .map(|threepid| {
            json!({
                "medium": threepid.medium,
                "address": threepid.address,
                "validated_at": threepid.validated_at,
                "added_at": threepid.added_at,
            })
        })
        .collect();
    reply::ok(&json!({ "threepids": threepids }))
}
