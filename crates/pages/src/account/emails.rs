//! The e-mail addresses of the account.

use std::sync::Arc;

use http::StatusCode;
use reeve_accounts::emails::{self, Request};
use reeve_accounts::{Error, Policy, browser_sessions, mails};
use reeve_app::{Access, Answer, Call, Content, MatrixError, Param, Reading, Route, body};
use reeve_client_api::email;
use reeve_db::{DbError, ReadTx};
use reeve_model::{EmailPurpose, User, UserNum};
use serde::Serialize;

use crate::links::EMAILS;
use crate::page::{self, Visitor};
use crate::problem::Problem;
use crate::proof::{self, Proven};

const REMOVE: &str = "/_reeve/pages/account/emails/remove";

body! {
    /// An e-mail address that the page adds.
    pub(crate) struct AddEmailForm {
        email: Option<String>,
        password: Option<String>,
    }

    /// An e-mail address that the page removes.
    pub(crate) struct RemoveEmailForm {
        address: Option<String>,
        password: Option<String>,
    }
}

pub(super) fn routes() -> Vec<Route> {
    let done = Param::word("done", &["sent", "removed"], "the act on this page that was done");
    vec![
        page::shown(Route::read(EMAILS, show), Access::SignedIn)
            .id("showEmails")
            .query(page::params([done]))
            .summary("Shows the e-mail addresses of the account"),
        page::form::<AddEmailForm>(Route::post(EMAILS, add), Access::SignedIn)
            .id("addEmail")
            .summary("Sends a mail with which an address is confirmed, and added to the account by that")
            .errors(&[
                (400, "M_INVALID_PARAM", "it is no e-mail address, or it is in use"),
                (403, "M_FORBIDDEN", "the password is wrong, or people cannot add addresses on this server"),
                (429, "M_LIMIT_EXCEEDED", "too many mails, or too many wrong passwords"),
            ]),
        // A refusal is shown here, with links to itself in another language.
        Route::read(REMOVE, back)
            .access(Access::SignedIn)
            .id("leaveEmailRemoval")
            .query(page::params([]))
            .returns_other(303, Content::Nothing)
            .summary("Leads back to the e-mail addresses of the account"),
        page::form::<RemoveEmailForm>(Route::post(REMOVE, remove), Access::SignedIn)
            .not_suspended("A suspended account cannot remove addresses")
            .id("removeEmail")
            .summary("Removes an e-mail address from the account")
            .errors(&[
                (400, "M_UNKNOWN", "it is no e-mail address"),
                (
                    403,
                    "M_FORBIDDEN",
                    "the password is wrong, or people cannot remove addresses on this server",
                ),
                proof::TOO_MANY,
            ]),
    ]
}

/// The facts about an account that the page shows.
struct Facts {
    emails: Vec<String>,
    asks_password: bool,
}

/// The values in the page.
#[derive(Serialize)]
struct Values {
    here: &'static str,
    emails: Vec<String>,
    asks_password: bool,
    /// True if the person can add addresses.
    adds: bool,
    /// True if the person can remove addresses.
    removes: bool,
    /// The address that was entered.
    email: String,
    done: Option<&'static str>,
    problems: Vec<Problem>,
}

fn facts(tx: &ReadTx<'_>, policy: &Policy, num: UserNum) -> Result<Facts, DbError> {
    Ok(Facts { emails: mails::addresses(tx, num)?, asks_password: proof::is_asked(tx, policy, num)? })
}

impl Values {
    fn new(visitor: &impl Visitor, user: &User, facts: Facts) -> Self {
        let mail = &visitor.head().app.policy.mail;
        Self {
            here: "emails",
            emails: facts.emails,
            asks_password: facts.asks_password,
            adds: mail.enabled && mail.own_addresses,
            removes: mail.own_addresses && !user.suspended,
            email: String::new(),
            done: None,
            problems: Vec::new(),
        }
    }
}

fn show(call: &Reading<'_>) -> Answer {
    let user = call.user()?;
    let done = match call.query.lossy("done").as_deref() {
        Some("sent") => Some("emails-sent"),
        Some("removed") => Some("emails-removed"),
        Some(_) | None => None,
    };
    let values = Values { done, ..Values::new(call, user, facts(call.tx, &call.app.policy, user.num)?) };
    Ok(page::show(call, StatusCode::OK, "emails.html", values))
}

fn back(call: &Reading<'_>) -> Answer {
    page::go(call, EMAILS)
}

/// Returns the page with what is wrong with a form.
async fn refused(call: &Call, status: StatusCode, email: String, problem: Problem) -> Answer {
    let (user, app) = (call.user()?.clone(), Arc::clone(&call.app));
    let num = user.num;
    let facts = call.read(move |tx| facts(tx, &app.policy, num)).await?;
    let values = Values { email, problems: vec![problem], ..Values::new(call, &user, facts) };
    Ok(page::show(call, status, "emails.html", values))
}

async fn add(mut call: Call) -> Answer {
    let form: AddEmailForm = call.take_form().await?;
    let given = form.email.read()?.unwrap_or_default().trim().to_owned();
    let password = form.password.read()?;
    emails::check_own(&call.app.policy)?;
    let wrong = |key| Problem::at("email", key);
    let Ok(address) = emails::address(&given) else {
        return refused(&call, StatusCode::BAD_REQUEST, given, wrong("emails-bad")).await;
    };
    let proven = match proof::check(&call, password.as_deref()).await? {
        Ok(proven) => proven,
        Err(problem) => return refused(&call, StatusCode::FORBIDDEN, given, problem).await,
    };
    let request = Request {
        purpose: EmailPurpose::Add,
        address,
        user_num: Some(call.user()?.num),
        client: None,
        next_link: None,
        language: Some(page::language(&call)),
    };
    match ask(&call, proven, request).await {
        Ok(()) => page::go(&call, &format!("{EMAILS}?done=sent")),
        Err(error) if error.errcode == "M_THREEPID_IN_USE" => {
            refused(&call, StatusCode::BAD_REQUEST, given, wrong("emails-in-use")).await
        }
        Err(error) => Err(error),
    }
}

/// Sends the mail, unless the same form caused it a moment ago.
async fn ask(call: &Call, proven: Proven, request: Request) -> Result<(), MatrixError> {
    if email::count(call, &request).await?.is_some() {
        return Ok(());
    }
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.act_in_browser(move |tx, browser| -> Result<(), Error> {
        browser_sessions::prove(tx, browser, proven.password_hash.as_deref(), ctx.now)?;
        emails::begin(tx, &ctx, &app.policy, &request)?;
        Ok(())
    })
    .await
}

async fn remove(mut call: Call) -> Answer {
    let form: RemoveEmailForm = call.take_form().await?;
    let address = form.address.read()?.unwrap_or_default();
    let password = form.password.read()?;
    let proven = match proof::check(&call, password.as_deref()).await? {
        Ok(proven) => proven,
        Err(problem) => {
            return refused(&call, StatusCode::FORBIDDEN, String::new(), problem.of_form()).await;
        }
    };
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.act_in_browser(move |tx, browser| -> Result<(), Error> {
        browser_sessions::prove(tx, browser, proven.password_hash.as_deref(), ctx.now)?;
        emails::remove(tx, &ctx, &app.policy, &browser.user, "email", &address)
    })
    .await?;
    page::go(&call, &format!("{EMAILS}?done=removed"))
}
