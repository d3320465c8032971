//! Deactivation of the account.

use std::sync::Arc;
use std::time::Duration;

use axum_core::response::Response;
use http::StatusCode;
use reeve_accounts::{browser_sessions, deactivate};
use reeve_app::{Access, Answer, App, Call, Content, Family, Reading, Route, Visit, body};
use serde::Serialize;

use crate::page::{self, Nothing};
use crate::problem::Problem;
use crate::proof;

pub(super) const PATH: &str = "/_reeve/pages/account/deactivate";
/// The time that a response waits for the job that clears the account.
const JOB_WAIT: Duration = Duration::from_secs(2);
const DAY_MS: i64 = 86_400_000;

body! {
    /// A deactivation, as its page orders it.
    pub(crate) struct DeactivationForm {
        /// Present to erase the account, too.
        erase: Option<String>,
        /// Present if the person means it.
        sure: Option<String>,
        password: Option<String>,
    }
}

pub(super) fn routes() -> Vec<Route> {
    let html = Content::Text(Family::Page.media_type());
    let form = page::shown(Route::read(PATH, show), Access::SignedIn)
        .id("showDeactivation")
        .summary("Explains what a deactivation does, and asks for it");
    // It leads to no other page: there is nothing left to see.
    let deactivation = Route::post(PATH, deactivate_account)
        .access(Access::SignedIn)
        .id("deactivateByPage")
        .query(page::params([]))
        .takes_form::<DeactivationForm>()
        .returns_other(200, html)
        .summary("Deactivates the account, and optionally erases it")
        .errors(&[
            (400, "M_UNKNOWN", "the person is not sure, or the account cannot be deactivated"),
            (403, "M_FORBIDDEN", "the password is wrong"),
            proof::TOO_MANY,
        ]);
    vec![form, deactivation]
}

/// The values in the page.
#[derive(Serialize)]
struct Values {
    here: &'static str,
    asks_password: bool,
    erase: bool,
    not_sure: bool,
    /// The days for which the account can be restored; 0 if it cannot.
    keeps_days: i64,
    problems: Vec<Problem>,
}

impl Values {
    fn new(app: &App, asks_password: bool) -> Self {
        let keeps_days = app.policy.keep_deactivated_ms / DAY_MS;
        Self {
            here: "deactivate",
            asks_password,
            erase: false,
            not_sure: false,
            keeps_days,
            problems: Vec::new(),
        }
    }
}

fn show(call: &Reading<'_>) -> Answer {
    let asks_password = proof::is_asked(call.tx, &call.app.policy, call.user()?.num)?;
    let values = Values::new(&call.app, asks_password);
    Ok(page::show(call, StatusCode::OK, "deactivate.html", values))
}

fn refused(call: &Call, status: StatusCode, values: Values) -> Response {
    page::show(call, status, "deactivate.html", values)
}

async fn deactivate_account(mut call: Call) -> Answer {
    let form: DeactivationForm = call.take_form().await?;
    let (erase, is_sure) = (form.erase.read()?.is_some(), form.sure.read()?.is_some());
    let password = form.password.read()?;
    let (num, app) = (call.user()?.num, Arc::clone(&call.app));
    let asks_password = call.read(move |tx| proof::is_asked(tx, &app.policy, num)).await?;
    let values = Values { erase, ..Values::new(&call.app, asks_password) };
    if !is_sure {
        let problems = vec![Problem::at("sure", "deactivate-not-sure")];
        return Ok(refused(&call, StatusCode::BAD_REQUEST, Values { not_sure: true, problems, ..values }));
    }
    let proven = match proof::check(&call, password.as_deref()).await? {
        Ok(proven) => proven,
        Err(problem) => {
            let values = Values { problems: vec![problem], ..values };
            return Ok(refused(&call, StatusCode::FORBIDDEN, values));
        }
    };
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    let ordered = call
        .act_in_browser(move |tx, browser| -> Result<String, reeve_accounts::Error> {
            browser_sessions::prove(tx, browser, proven.password_hash.as_deref(), ctx.now)?;
            deactivate::deactivate(tx, &ctx, &app.policy, &browser.user, erase)
        })
        .await;
    let job = match ordered {
        Ok(job) => job,
        Err(error) => {
            let problems = vec![Problem::of_refusal(error)?];
            return Ok(refused(&call, StatusCode::BAD_REQUEST, Values { problems, ..values }));
        }
    };
    call.app.jobs.wait(&job, JOB_WAIT).await?;
    let response = page::show(&*call, StatusCode::OK, "deactivated.html", Nothing {});
    Ok(page::with_cookie(response, &call, &Visit::begin()))
}
