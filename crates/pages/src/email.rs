//! The page of a link in a mail, on which a person confirms that an e-mail address is theirs. Opening it confirms nothing, since
//! programs that look for harmful mails open every link.

use std::sync::Arc;

use axum_core::response::Response;
use http::StatusCode;
use reeve_accounts::emails::{self, Link};
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Reading, Route};
use reeve_model::EmailPurpose;
use serde::Serialize;

use crate::mail_link::{self, TOKEN};
use crate::page::{self, Visitor};
use crate::problem::Problem;

const PATH: &str = "/_reeve/pages/email/{mail_token}";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        page::shown(Route::read(PATH, show), Access::Page)
            .id("showEmailLink")
            .summary("Shows what the link in a mail confirms")
            .errors(&[mail_link::ENDED]),
        page::form::<AnyObject>(Route::post(PATH, confirm), Access::Page)
            .before_password_change()
            .id("confirmEmail")
            .summary("Confirms that an e-mail address is the person's")
            .errors(&[
                (400, "M_THREEPID_IN_USE", "an account got the address meanwhile"),
                (400, "M_TOO_LARGE", "the account has too many addresses"),
                (401, "M_USER_LOCKED", "the account is locked"),
                (403, "M_FORBIDDEN", "administrators alone change addresses by now"),
                (403, "M_USER_DEACTIVATED", "the account was deactivated meanwhile"),
                mail_link::ENDED,
            ]),
    ]
}

/// The values in the page.
#[derive(Serialize)]
struct Values<'a> {
    action: String,
    /// The key of the text that says what the address is for.
    about: &'static str,
    address: &'a str,
    user_id: Option<&'a str>,
    server: &'a str,
    is_confirmed: bool,
    /// True if an application does the rest.
    is_for_client: bool,
    next_link: Option<&'a str>,
    problems: Vec<Problem>,
}

/// Returns the key of the text that says what an address is for.
fn about(link: &Link) -> &'static str {
    match (link.purpose, &link.user_id) {
        (EmailPurpose::Register, _) => "email-register",
        (EmailPurpose::Add, Some(_)) => "email-add",
        (EmailPurpose::Add, None) => "email-add-some",
        (EmailPurpose::Reset, _) => "email-reset",
    }
}

fn view(
    visitor: &impl Visitor,
    token: &str,
    link: &Link,
    status: StatusCode,
    problems: Vec<Problem>,
) -> Response {
    let values = Values {
        action: mail_link::path("email", token),
        about: about(link),
        address: &link.address,
        user_id: link.user_id.as_deref(),
        server: &visitor.head().app.server_name,
        is_confirmed: link.is_confirmed,
        is_for_client: link.is_for_client,
        next_link: link.next_link.as_deref(),
        problems,
    };
    page::show(visitor, status, "email.html", values)
}

fn show(call: &Reading<'_>) -> Answer {
    let token = call.params.get(TOKEN);
    match emails::open(call.tx, token, call.now) {
        Ok(link) => Ok(view(call, token, &link, StatusCode::OK, Vec::new())),
        Err(error) => mail_link::ended(call, error.into(), None),
    }
}

async fn confirm(mut call: Call) -> Answer {
    let AnyObject(_) = call.take_form().await?;
    let (token, now) = (call.param(TOKEN), call.now);
    let (ctx, app, wanted) = (call.ctx(), Arc::clone(&call.app), token.clone());
    let confirmed = call.write(move |tx| emails::confirm(tx, &ctx, &app.policy, &wanted)).await;
    let Err(error) = confirmed else { return page::go(&call, &mail_link::path("email", &token)) };
    let problem = match &*error.errcode {
        "M_THREEPID_IN_USE" => Problem::new("email-in-use"),
        "M_TOO_LARGE" => Problem::new("email-too-many"),
        _ => return mail_link::ended(&call, error, None),
    };
    let wanted = token.clone();
    match call.read(move |tx| emails::open(tx, &wanted, now)).await {
        Ok(link) => Ok(view(&call, &token, &link, StatusCode::BAD_REQUEST, vec![problem])),
        Err(error) => mail_link::ended(&call, error, None),
    }
}
