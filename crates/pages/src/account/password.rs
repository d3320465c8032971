//! The password, also one that must be changed.

use std::sync::Arc;

use axum_core::response::Response;
use http::StatusCode;
use reeve_accounts::browser_sessions;
use reeve_accounts::password_change::{self, Chosen};
use reeve_accounts::sessions::Spared;
use reeve_app::credentials;
use reeve_app::{Access, Answer, App, Call, Param, Reading, Route, body, reply};
use serde::Serialize;

use crate::links::PASSWORD;
use crate::new_password::{self, Rules};
use crate::page;
use crate::problem::Problem;
use crate::{proof, target};

body! {
    /// A new password, as its page sets it.
    pub(crate) struct PasswordForm {
        /// The present password.
        password: Option<String>,
        new_password: Option<String>,
        /// The new password, once more.
        again: Option<String>,
        /// Present to end all other sessions.
        end_sessions: Option<String>,
        /// The path and query of the page at which to continue.
        to: Option<String>,
    }
}

pub(super) fn routes() -> Vec<Route> {
    let to = Param::text("to", "the path and query of the page at which to continue");
    vec![
        page::shown(Route::read(PASSWORD, show), Access::SignedIn)
            .id("showPassword")
            .query(page::params([to, page::done()]))
            .summary("Shows the page for changing the password"),
        page::form::<PasswordForm>(Route::post(PASSWORD, save), Access::SignedIn)
            .before_password_change()
            .id("savePassword")
            .summary("Changes the password of the account")
            .errors(&[
                (400, "M_WEAK_PASSWORD", "the new password breaks a rule, or a field is empty"),
                (403, "M_FORBIDDEN", "the present password is wrong, or passwords are switched off"),
                proof::TOO_MANY,
            ]),
    ]
}

/// The values in the page.
#[derive(Serialize)]
struct Values {
    here: &'static str,
    /// True if passwords can be changed.
    allowed: bool,
    asks_password: bool,
    rules: Rules,
    end_sessions: bool,
    to: String,
    done: Option<&'static str>,
    problems: Vec<Problem>,
}

impl Values {
    fn new(app: &App, asks_password: bool, to: Option<String>) -> Self {
        Self {
            here: "password",
            allowed: app.policy.password_enabled,
            asks_password,
            rules: app.policy.password_rules.into(),
            end_sessions: true,
            to: to.unwrap_or_default(),
            done: None,
            problems: Vec::new(),
        }
    }
}

fn show(call: &Reading<'_>) -> Answer {
    let asks_password = proof::is_asked(call.tx, &call.app.policy, call.user()?.num)?;
    let to = target::local(call.query.lossy("to"));
    let done = page::is_done(call).then_some("password-changed");
    let values = Values { done, ..Values::new(&call.app, asks_password, to) };
    Ok(page::show(call, StatusCode::OK, "password.html", values))
}

/// The values that were entered into the form.
struct Entered {
    password: Option<String>,
    new_password: Option<String>,
    again: Option<String>,
    end_sessions: bool,
    to: Option<String>,
}

impl Entered {
    fn page(self, call: &Call, asks_password: bool, status: StatusCode, problems: Vec<Problem>) -> Response {
        let values = Values::new(&call.app, asks_password, self.to);
        let values = Values { end_sessions: self.end_sessions, problems, ..values };
        page::show(call, status, "password.html", values)
    }
}

async fn save(mut call: Call) -> Answer {
    let form: PasswordForm = call.take_form().await?;
    let entered = Entered {
        password: form.password.read()?,
        new_password: form.new_password.read()?,
        again: form.again.read()?,
        end_sessions: form.end_sessions.read()?.is_some(),
        to: target::local(form.to.read()?),
    };
    let (num, app) = (call.user()?.num, Arc::clone(&call.app));
    let asks_password = call.read(move |tx| proof::is_asked(tx, &app.policy, num)).await?;
    let (new, again) = (entered.new_password.as_deref(), entered.again.as_deref());
    let rules = call.app.policy.password_rules;
    let problems = new_password::problems(new, again, rules, &call.user()?.user_id);
    if !problems.is_empty() {
        return Ok(entered.page(&call, asks_password, StatusCode::BAD_REQUEST, problems));
    }
    if !call.app.policy.password_enabled {
        return Ok(entered.page(&call, asks_password, StatusCode::FORBIDDEN, Vec::new()));
    }
    let proven = match proof::check(&call, entered.password.as_deref()).await? {
        Ok(proven) => proven,
        Err(problem) => {
            return Ok(entered.page(&call, asks_password, StatusCode::FORBIDDEN, vec![problem]));
        }
    };
    let new = entered.new_password.as_deref().unwrap_or_default();
    let differs_from = match credentials::different(&call, call.user()?, new).await {
        Ok(differs_from) => differs_from,
        Err(error) if error.errcode == "M_WEAK_PASSWORD" => {
            let problem = Problem::at("new_password", "password-same");
            return Ok(entered.page(&call, asks_password, StatusCode::BAD_REQUEST, vec![problem]));
        }
        Err(error) => return Err(error),
    };
    let spared = if entered.end_sessions { Some(Spared::browser(call.browser()?)) } else { None };
    let chosen = Chosen { hash: call.app.hasher.hash(new).await?, differs_from, end_sessions: spared };
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.act_in_browser(move |tx, browser| -> Result<(), reeve_accounts::Error> {
        browser_sessions::prove(tx, browser, proven.password_hash.as_deref(), ctx.now)?;
        password_change::change(tx, &ctx, &app.policy, &browser.user, &chosen)
    })
    .await?;
    match entered.to {
        Some(to) => reply::see_other(&to),
        None => page::go(&call, &format!("{PASSWORD}?done=yes")),
    }
}
