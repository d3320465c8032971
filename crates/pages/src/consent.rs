//! The page that asks a person whether a client may act for the account.

use http::StatusCode;
use reeve_accounts::browser_sessions;
use reeve_app::{Access, Answer, Call, MatrixError, Reading, Route, Visit, body, reply};
use reeve_oauth::authorization::{self, Waiting};
use reeve_store::devices;
use serde::Serialize;

use crate::oauth::{ClientView, for_people, settings};
use crate::page;

const PATH: &str = "/_reeve/pages/consent/{request}";
const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#authorisation-code-flow";
const ENDED: (u16, &str, &str) =
    (404, "M_NOT_FOUND", "the request has ended or was answered, or the settings do not enable OAuth 2.0");

body! {
    /// The answer of a person to a client.
    pub(crate) struct ConsentForm {
        /// `allow`, `refuse`, or `switch` to sign out first.
        answer: String,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        page::shown(Route::read(PATH, show), Access::SignedIn)
            .id("showConsent")
            .summary("Asks whether a client may act for the account")
            .errors(&[ENDED])
            .spec(SPEC),
        page::form::<ConsentForm>(Route::post(PATH, answer), Access::SignedIn)
            .id("answerClient")
            .summary("Answers a client, and continues there")
            .errors(&[(400, "M_INVALID_PARAM", "`answer` is none of the words"), ENDED])
            .spec(SPEC),
    ]
}

/// Returns the path of the page for a request.
pub(crate) fn path(request: &str) -> String {
    PATH.replace("{request}", request)
}

/// The values in the page.
#[derive(Serialize)]
struct Values {
    request: String,
    client: ClientView,
    /// The host at which the browser continues, if it is another one than the client's.
    returns_to: Option<String>,
    /// True if the browser opens a program afterwards.
    opens_program: bool,
    /// True if the account has rights of administration, which the client gets, too.
    administers: bool,
    device_id: String,
    /// The name of the session that ends.
    replaces: Option<String>,
    /// True if the person must sign in again first.
    proves_again: bool,
}

fn show(call: &Reading<'_>) -> Answer {
    settings(call)?;
    let browser = call.browser()?;
    let request = call.param("request");
    let waiting = Waiting::find(call.tx, &request, call.now).map_err(for_people)?;
    let device_id = waiting.scope.device_id.clone();
    let replaced = devices::find(call.tx, browser.user.num, &device_id)?;
    let (host, returns_to) = (waiting.client.host(), waiting.returns_to());
    let values = Values {
        request,
        client: ClientView::new(&waiting.client, call),
        opens_program: returns_to.is_none(),
        returns_to: returns_to.filter(|returns_to| *returns_to != host),
        administers: !browser.scopes.is_empty(),
        replaces: replaced.map(|device| device.display_name.unwrap_or_else(|| device_id.clone())),
        device_id,
        proves_again: waiting.needs_proof(browser),
    };
    let page = page::show(call, StatusCode::OK, "consent.html", values);
    match waiting.form_source() {
        Some(source) => reply::forms_continue_at(page, &source),
        None => Ok(page),
    }
}

async fn answer(mut call: Call) -> Answer {
    let form: ConsentForm = call.take_form().await?;
    let issuer = settings(&call)?.issuer();
    let (request, ctx) = (call.param("request"), call.ctx());
    let here = path(&request);
    let answered = match form.answer.read()?.as_str() {
        "allow" => {
            let allow = call.act_in_browser(move |tx, browser| {
                authorization::allow(tx, &ctx, &issuer, browser, &request)
            });
            allow.await
        }
        "refuse" => call.write(move |tx| authorization::refuse(tx, &ctx, &issuer, &request)).await,
        "switch" => {
            let token_hash = call.browser()?.token_hash;
            call.write(move |tx| browser_sessions::sign_out(tx, &token_hash)).await?;
            let response = page::go(&call, &here)?;
            return Ok(page::with_cookie(response, &call, &Visit::begin()));
        }
        _ => return Err(MatrixError::invalid_param("'answer' must be 'allow', 'refuse' or 'switch'")),
    };
    match answered {
        Ok(location) => reply::see_other(&location),
        // The page says what is to be done.
        Err(error) if error.errcode == "login_required" => page::go(&call, &here),
        Err(error) => Err(for_people(error)),
    }
}
