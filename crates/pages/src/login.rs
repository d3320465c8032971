//! Signing in.

use std::sync::Arc;

use axum_core::response::Response;
use http::StatusCode;
use reeve_accounts::browser_sessions;
use reeve_accounts::login::{Proof, check_may_log_in};
use reeve_accounts::threepids;
use reeve_app::credentials::{self, Identifier};
use reeve_app::page::LOGIN;
use reeve_app::{
    Access, Answer, Call, Content, Limit, MatrixError, Param, Reading, Route, Visit, body, reply,
};
use reeve_model::User;
use serde::Serialize;

use crate::page::{self, Visitor};
use crate::problem::Problem;
use crate::{signed_in, target};

body! {
    /// A sign-in on the page.
    pub(crate) struct SignIn {
        /// A user name, a user id or an e-mail address.
        username: Option<String>,
        password: Option<String>,
        /// The path and query of the page at which to continue.
        to: Option<String>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let to = Param::text("to", "the path and query of the page at which to continue");
    vec![
        page::shown(Route::read(LOGIN, show), Access::Page)
            .id("showLogin")
            .returns_other(303, Content::Nothing)
            .query(page::params([to]))
            .summary("Shows the page for signing in, unless somebody has"),
        page::form::<SignIn>(Route::post(LOGIN, sign_in), Access::Page)
            .before_password_change()
            .limit(Limit::Login)
            .id("signIn")
            .summary("Signs in with a password")
            .errors(&[
                (400, "M_MISSING_PARAM", "a field is empty"),
                (
                    403,
                    "M_FORBIDDEN",
                    "the credentials are wrong, the account cannot be used, or passwords are switched off",
                ),
            ]),
    ]
}

/// The values in the page.
#[derive(Serialize)]
struct Form {
    /// True if people can sign in with a password.
    passwords: bool,
    /// True if people who lost their password can choose another one.
    recovers: bool,
    /// True if people can make accounts.
    registers: bool,
    username: String,
    to: String,
    /// The parameters of the page in another language.
    keep: String,
    problems: Vec<Problem>,
}

/// The values that were entered before.
struct Entered {
    username: String,
    to: Option<String>,
}

impl Entered {
    fn page(self, visitor: &impl Visitor, status: StatusCode, problems: Vec<Problem>) -> Response {
        let policy = &visitor.head().app.policy;
        let form = Form {
            passwords: policy.password_enabled,
            recovers: policy.mail.enabled && policy.password_enabled,
            registers: policy.registration_enabled,
            username: self.username,
            keep: target::kept(self.to.as_deref()),
            to: self.to.unwrap_or_default(),
            problems,
        };
        page::show(visitor, status, "login.html", form)
    }
}

fn show(call: &Reading<'_>) -> Answer {
    let to = target::local(call.query.lossy("to"));
    match call.browser() {
        Ok(browser) => reply::see_other(&signed_in::next(&browser.user, to)),
        Err(_) => Ok(Entered { username: String::new(), to }.page(call, StatusCode::OK, Vec::new())),
    }
}

async fn sign_in(mut call: Call) -> Answer {
    let form: SignIn = call.take_form().await?;
    let username = form.username.read()?.unwrap_or_default().trim().to_owned();
    let (password, to) = (form.password.read()?, target::local(form.to.read()?));
    let entered = Entered { username, to };
    if !call.app.policy.password_enabled {
        return Ok(entered.page(&call, StatusCode::FORBIDDEN, Vec::new()));
    }
    let mut problems = Vec::new();
    if entered.username.is_empty() {
        problems.push(Problem::at("username", "login-missing-name"));
    }
    if password.is_none() {
        problems.push(Problem::at("password", "login-missing-password"));
    }
    let Some(password) = password.filter(|_| problems.is_empty()) else {
        return Ok(entered.page(&call, StatusCode::BAD_REQUEST, problems));
    };
    let visit = Visit::begin();
    match begin(&call, &entered.username, &password, &visit).await {
        Ok(user) => signed_in::go_on(&call, &visit, &user, entered.to),
        Err(error) => {
            let problem = refusal(&error).ok_or(error)?;
            Ok(entered.page(&call, StatusCode::FORBIDDEN, vec![problem]))
        }
    }
}

/// Begins a session in the browser.
async fn begin(call: &Call, username: &str, password: &str, visit: &Visit) -> Result<User, MatrixError> {
    let proof = prove(call, username, password).await?;
    let browser = signed_in::browser(call, visit);
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    let begun =
        call.write(move |tx| browser_sessions::sign_in(tx, &ctx, &app.policy, &proof, &browser)).await?;
    Ok(begun?)
}

async fn prove(call: &Call, username: &str, password: &str) -> Result<Proof, MatrixError> {
    let is_address = !username.starts_with('@') && username.contains('@');
    let address = if is_address { threepids::canonical("email", username).ok() } else { None };
    let identifier = address.map_or_else(
        || Identifier::User(username.to_owned()),
        |address| Identifier::Threepid("email".to_owned(), address),
    );
    let verified = credentials::verify(call, identifier, password).await?;
    check_may_log_in(&verified.user)?;
    verified.proof(call)
}

/// Returns the problem that a refusal is; `None` if it is not about the account and its password.
fn refusal(error: &MatrixError) -> Option<Problem> {
    match (error.status, &*error.errcode) {
        (403, "M_FORBIDDEN") => Some(Problem::at("password", "login-wrong")),
        (403, "M_USER_DEACTIVATED") => Some(Problem::new("login-deactivated")),
        (403, "ORG_MATRIX_EXPIRED_ACCOUNT") => Some(Problem::new("login-expired")),
        (401, "M_USER_LOCKED") => Some(Problem::new("login-locked")),
        _ => None,
    }
}
