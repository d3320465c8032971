//! A new password for people who lost theirs: the page that asks for an address, and that of the link in the mail to it.

use axum_core::response::Response;
use http::StatusCode;
use reeve_accounts::emails::{self, Proof, Request};
use reeve_accounts::recovery;
use reeve_app::{Access, Answer, Call, Content, Family, MatrixError, Reading, Route, body};
use reeve_client_api::{choose_password, email};
use reeve_model::{EmailPurpose, User};
use serde::Serialize;

use crate::links::RECOVER;
use crate::mail_link::{self, TOKEN};
use crate::new_password::{self, Rules};
use crate::page::{self, Visitor};
use crate::problem::Problem;

const CHOOSE: &str = "/_reeve/pages/reset/{mail_token}";

body! {
    /// The address of somebody who lost the password.
    pub(crate) struct RecoveryForm {
        email: Option<String>,
    }

    /// A new password, as the page of a link sets it.
    pub(crate) struct NewPasswordForm {
        new_password: Option<String>,
        /// The new password, once more.
        again: Option<String>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let html = Content::Text(Family::Page.media_type());
    // It leads to no other page: the next step is in a mail.
    let ask = Route::post(RECOVER, ask)
        .access(Access::Page)
        .before_password_change()
        .id("askForRecovery")
        .query(page::params([]))
        .takes_form::<RecoveryForm>()
        .returns_other(200, html)
        .summary("Sends a mail with a link by which a new password is chosen")
        .description("The page is the same whether an account has the address or not, unless the settings say otherwise.")
        .errors(&[
            (400, "M_INVALID_PARAM", "it is no e-mail address, or no account has it and the settings do not hide that"),
            (403, "M_FORBIDDEN", "passwords are not set by mail on this server"),
            (429, "M_LIMIT_EXCEEDED", "too many mails from this browser, or to this address"),
        ]);
    vec![
        page::shown(Route::read(RECOVER, show), Access::Page)
            .id("showRecovery")
            .query(page::params([page::done()]))
            .summary("Shows the page for people who lost their password"),
        ask,
        page::shown(Route::read(CHOOSE, choose), Access::Page)
            .id("showRecoveryLink")
            .summary("Shows the page on which a new password is chosen")
            .errors(&[mail_link::ENDED]),
        page::form::<NewPasswordForm>(Route::post(CHOOSE, set), Access::Page)
            .before_password_change()
            .id("recoverPassword")
            .summary("Sets a new password, and ends all sessions of the account")
            .errors(&[
                (400, "M_WEAK_PASSWORD", "the new password breaks a rule, or a field is empty"),
                (400, "M_UNKNOWN", "the password was changed meanwhile"),
                (403, "M_FORBIDDEN", "passwords are not set by mail on this server"),
                mail_link::ENDED,
            ]),
    ]
}

/// The values in the page that asks for an address.
#[derive(Default, Serialize)]
struct Asking {
    /// True if passwords are set by mail on this server.
    allowed: bool,
    email: String,
    /// True if the mail is on its way.
    is_sent: bool,
    /// True if the password was set.
    is_done: bool,
    problems: Vec<Problem>,
}

/// Returns true if passwords are set by mail on this server.
fn is_allowed(visitor: &impl Visitor) -> bool {
    let policy = &visitor.head().app.policy;
    policy.mail.enabled && policy.password_enabled
}

fn asking(visitor: &impl Visitor, status: StatusCode, values: Asking) -> Response {
    page::show(visitor, status, "recover.html", Asking { allowed: is_allowed(visitor), ..values })
}

#[expect(clippy::unnecessary_wraps, reason = "the form of handlers")]
fn show(call: &Reading<'_>) -> Answer {
    let values = Asking { is_done: page::is_done(call), ..Asking::default() };
    Ok(asking(call, StatusCode::OK, values))
}

async fn ask(mut call: Call) -> Answer {
    let form: RecoveryForm = call.take_form().await?;
    let email = form.email.read()?.unwrap_or_default().trim().to_owned();
    if !is_allowed(&call) {
        return Ok(asking(&call, StatusCode::FORBIDDEN, Asking::default()));
    }
    let refused = |email: String, key| {
        let problems = vec![Problem::at("email", key)];
        Ok(asking(&call, StatusCode::BAD_REQUEST, Asking { email, problems, ..Asking::default() }))
    };
    let Ok(address) = emails::address(&email) else { return refused(email, "recover-bad-email") };
    let language = Some(page::language(&call));
    let request = Request {
        purpose: EmailPurpose::Reset,
        address,
        user_num: None,
        client: None,
        next_link: None,
        language,
    };
    match email::ask(&call, request).await {
        Ok(_) => Ok(asking(&call, StatusCode::OK, Asking { email, is_sent: true, ..Asking::default() })),
        Err(error) if error.errcode == "M_THREEPID_NOT_FOUND" => refused(email, "recover-unknown"),
        Err(error) => Err(error),
    }
}

/// The values in the page on which a password is chosen.
#[derive(Serialize)]
struct Choosing<'a> {
    action: String,
    user_id: &'a str,
    rules: Rules,
    problems: Vec<Problem>,
}

fn choosing(
    visitor: &impl Visitor,
    token: &str,
    user: &User,
    status: StatusCode,
    problems: Vec<Problem>,
) -> Response {
    let values = Choosing {
        action: mail_link::path("reset", token),
        user_id: &user.user_id,
        rules: visitor.head().app.policy.password_rules.into(),
        problems,
    };
    page::show(visitor, status, "recover_password.html", values)
}

fn choose(call: &Reading<'_>) -> Answer {
    let token = call.params.get(TOKEN);
    if !is_allowed(call) {
        return Ok(asking(call, StatusCode::OK, Asking::default()));
    }
    match recovery::account(call.tx, &Proof::Link(token.to_owned()), call.now) {
        Ok(user) => Ok(choosing(call, token, &user, StatusCode::OK, Vec::new())),
        Err(error) => mail_link::ended(call, error.into(), Some(&mail_link::RECOVERY)),
    }
}

async fn set(mut call: Call) -> Answer {
    let form: NewPasswordForm = call.take_form().await?;
    let (new, again) = (form.new_password.read()?, form.again.read()?);
    let (token, now) = (call.param(TOKEN), call.now);
    if !is_allowed(&call) {
        return Ok(asking(&call, StatusCode::FORBIDDEN, Asking::default()));
    }
    let proof = Proof::Link(token.clone());
    let wanted = proof.clone();
    let user = match call.read(move |tx| recovery::account(tx, &wanted, now)).await {
        Ok(user) => user,
        Err(error) => return mail_link::ended(&call, error, Some(&mail_link::RECOVERY)),
    };
    let rules = call.app.policy.password_rules;
    let problems = new_password::problems(new.as_deref(), again.as_deref(), rules, &user.user_id);
    if !problems.is_empty() {
        return Ok(choosing(&call, &token, &user, StatusCode::BAD_REQUEST, problems));
    }
    match choose_password(&call, proof, &new.unwrap_or_default(), true).await {
        Ok(_) => page::go(&call, &format!("{RECOVER}?done=yes")),
        Err(error) => match refusal(error) {
            Ok(problem) => Ok(choosing(&call, &token, &user, StatusCode::BAD_REQUEST, vec![problem])),
            Err(error) => mail_link::ended(&call, error, Some(&mail_link::RECOVERY)),
        },
    }
}

/// Returns the problem with the password that a refusal is; otherwise the error.
fn refusal(error: MatrixError) -> Result<Problem, MatrixError> {
    match (error.status, &*error.errcode) {
        (400, "M_WEAK_PASSWORD") => Ok(Problem::at("new_password", "password-same")),
        (400, _) => Problem::of_refusal(error),
        (_, _) => Err(error),
    }
}
