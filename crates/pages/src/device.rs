//! The page where a person types the code that a client on another device shows (RFC 8628, 3.3).

use axum_core::response::Response;
use http::StatusCode;
use reeve_app::limits::Bucket;
use reeve_app::{Access, Answer, Call, Content, Family, MatrixError, Param, Reading, Route, body};
use reeve_oauth::device::{self, DeviceWaiting};
use reeve_oauth::metadata::DEVICE_PAGE;
use reeve_store::devices;
use serde::Serialize;

use crate::links::encoded;
use crate::oauth::{ClientView, DISABLED, for_people, settings};
use crate::page::{self, Visitor};

const ANSWER: &str = "/_reeve/pages/device/answer";
const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#device-authorisation-flow";
const LIMITED: (u16, &str, &str) = (429, "M_LIMIT_EXCEEDED", "too many codes that do not exist");
/// The longest code that is shown again, in characters.
const MAX_CODE: usize = 20;

body! {
    /// A code that a client on another device shows.
    pub(crate) struct UserCodeForm {
        user_code: Option<String>,
    }

    /// The answer of a person to a client on another device.
    pub(crate) struct DeviceAnswerForm {
        user_code: String,
        /// `allow` or `refuse`.
        answer: String,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let user_code = Param::text("user_code", "the code, which the person confirms");
    let html = Content::Text(Family::Page.media_type());
    vec![
        page::shown(Route::read(DEVICE_PAGE, show), Access::SignedIn)
            .id("showDevice")
            .query(page::params([user_code]))
            .summary("Asks for the code that a client on another device shows")
            .errors(&[DISABLED])
            .spec(SPEC),
        Route::post(DEVICE_PAGE, find)
            .access(Access::SignedIn)
            .id("findDeviceRequest")
            .query(page::params([]))
            .takes_form::<UserCodeForm>()
            .returns_other(200, html.clone())
            .summary("Finds the client that shows a code, and asks whether it may act for the account")
            .errors(&[(400, "M_NOT_FOUND", "no client that waits shows the code"), DISABLED, LIMITED])
            .spec(SPEC),
        Route::post(ANSWER, answer)
            .access(Access::SignedIn)
            .id("answerDeviceRequest")
            .query(page::params([]))
            .takes_form::<DeviceAnswerForm>()
            .returns_other(200, html)
            .summary("Answers a client on another device")
            .errors(&[
                (400, "M_INVALID_PARAM", "`answer` is none of the words"),
                (404, "M_NOT_FOUND", "the request has ended, or was answered"),
                DISABLED,
                LIMITED,
            ])
            .spec(SPEC),
    ]
}

/// The values in the page with the field.
#[derive(Serialize)]
struct Asked {
    user_code: Option<String>,
    /// True if no client shows the code.
    wrong: bool,
    /// The parameters of the page in another language.
    keep: String,
}

/// The values in the page that asks for consent.
#[derive(Serialize)]
struct Found {
    client: ClientView,
    user_code: String,
    /// True if the account has rights of administration, which the client gets, too.
    administers: bool,
    device_id: String,
    /// The name of the session that ends.
    replaces: Option<String>,
}

/// The values in the page after the answer.
#[derive(Serialize)]
struct Answered {
    allowed: bool,
}

fn ask(visitor: &impl Visitor, status: StatusCode, user_code: Option<String>) -> Response {
    let user_code: Option<String> = user_code.map(|code| code.chars().take(MAX_CODE).collect());
    let keep = user_code.as_deref().map(|code| format!("&user_code={}", encoded(code)));
    let wrong = status != StatusCode::OK;
    let asked = Asked { user_code, wrong, keep: keep.unwrap_or_default() };
    page::show(visitor, status, "device.html", asked)
}

fn show(call: &Reading<'_>) -> Answer {
    settings(call)?;
    Ok(ask(call, StatusCode::OK, call.query.utf8("user_code")?))
}

/// Returns the request with a code; `None` if there is none. Codes that do not exist are counted and limited, so that nobody
/// finds the requests of others by trying.
async fn waiting(call: &Call, user_code: &str) -> Result<Option<DeviceWaiting>, MatrixError> {
    let bucket = Bucket::UserCode(call.user()?.num);
    call.app.limiter.peek(bucket.clone(), call.now)?;
    let (code, now) = (user_code.to_owned(), call.now);
    match call.read(move |tx| DeviceWaiting::find(tx, &code, now)).await {
        Ok(waiting) => {
            // Again, so that simultaneous guesses do not all pass the check before any is counted.
            call.app.limiter.peek(bucket, call.now)?;
            Ok(Some(waiting))
        }
        Err(error) if error.errcode == "expired_token" => {
            call.app.limiter.check(bucket, call.now)?;
            Ok(None)
        }
        Err(error) => Err(for_people(error)),
    }
}

async fn find(mut call: Call) -> Answer {
    let user_code = call.take_form::<UserCodeForm>().await?.user_code.read()?.unwrap_or_default();
    settings(&call)?;
    let Some(found) = waiting(&call, &user_code).await? else {
        return Ok(ask(&call, StatusCode::BAD_REQUEST, Some(user_code)));
    };
    let (num, device_id) = (call.user()?.num, found.scope.device_id.clone());
    let replaced = call.read(move |tx| devices::find(tx, num, &device_id)).await?;
    let device_id = found.scope.device_id;
    let values = Found {
        client: ClientView::new(&found.client, &call),
        user_code: found.user_code,
        administers: !call.caller().scopes().is_empty(),
        replaces: replaced.map(|device| device.display_name.unwrap_or_else(|| device_id.clone())),
        device_id,
    };
    Ok(page::show(&call, StatusCode::OK, "device_consent.html", values))
}

async fn answer(mut call: Call) -> Answer {
    let form: DeviceAnswerForm = call.take_form().await?;
    settings(&call)?;
    let user_code = form.user_code.read()?;
    let allowed = match form.answer.read()?.as_str() {
        "allow" => true,
        "refuse" => false,
        _ => return Err(MatrixError::invalid_param("'answer' must be 'allow' or 'refuse'")),
    };
    if waiting(&call, &user_code).await?.is_none() {
        return Err(MatrixError::not_found("The request has ended"));
    }
    let ctx = call.ctx();
    let answer =
        call.act_in_browser(move |tx, browser| device::answer(tx, &ctx, &browser.user, &user_code, allowed));
    answer.await.map_err(for_people)?;
    Ok(page::show(&call, StatusCode::OK, "device_done.html", Answered { allowed }))
}
