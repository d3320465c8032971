//! Pages as responses, and the pages for errors, in words for people.

use axum_core::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reeve_html::Html;
use reeve_http::{Refused, query::Query, reply};
use reeve_model::{Language, MatrixError};
use serde::Serialize;
use serde_json::Value;

/// The page for signing in.
pub const LOGIN: &str = "/_reeve/pages/login";
/// The query parameter that chooses the language of a page.
pub const LANG: &str = "lang";

/// Shown if a page cannot be made: only then, without a template.
const LAST_RESORT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Something went wrong</title>\
                           <h1>Something went wrong</h1><p>The page cannot be shown. The log of the server has the reason.</p>";

/// The values in the page of an error.
#[derive(Serialize)]
struct Values<'a> {
    /// The key of the title.
    title: &'static str,
    /// The key of the text.
    text: &'static str,
    /// The text of the error itself, in English.
    said: Option<&'a str>,
    /// The seconds after which to try again.
    seconds: Option<i64>,
    /// True if signing in helps.
    signs_in: bool,
    request_id: &'a str,
}

/// The words for an error.
struct Words {
    title: &'static str,
    text: &'static str,
    /// True if the text of the error says more.
    says_more: bool,
    signs_in: bool,
}

impl Words {
    const fn new(title: &'static str, text: &'static str) -> Self {
        Self { title, text, says_more: false, signs_in: false }
    }

    const fn with_text(self) -> Self {
        Self { says_more: true, ..self }
    }

    fn of(error: &MatrixError) -> Self {
        match (error.status, &*error.errcode) {
            (401, "M_MISSING_TOKEN") => {
                Self { signs_in: true, ..Self::new("error-signed-out-title", "error-signed-out") }
            }
            (401, "M_USER_LOCKED") => Self::new("error-locked-title", "error-locked"),
            (403, "ORG_MATRIX_EXPIRED_ACCOUNT") => Self::new("error-expired-title", "error-expired"),
            (401 | 403, _) => Self::new("error-forbidden-title", "error-forbidden").with_text(),
            (404, _) => Self::new("error-not-found-title", "error-not-found"),
            (429, _) => Self::new("error-too-many-title", "error-too-many"),
            (503, _) => Self::new("error-busy-title", "error-busy"),
            (400..=499, _) => Self::new("error-bad-title", "error-bad").with_text(),
            (_, _) => Self::new("error-internal-title", "error-internal"),
        }
    }
}

/// Returns the language that a client prefers, if this server writes it.
pub fn preferred_language(headers: &HeaderMap) -> Option<Language> {
    headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).and_then(Language::preferred)
}

/// Returns the language of a page for a request: the chosen one, or else the one that the browser prefers.
pub fn language(chosen: Option<&str>, headers: &HeaderMap) -> Language {
    let chosen = chosen.and_then(Language::of_tag);
    chosen.or_else(|| preferred_language(headers)).unwrap_or(Language::English)
}

/// Returns the path and query of the page for signing in, from which a person continues at another one.
pub fn login_for(target: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("to", target).finish();
    format!("{LOGIN}?{query}")
}

/// Makes a page from a template and its values. If that fails, the log has the reason, and the page says that something went wrong.
pub fn make(
    html: &Html,
    language: Language,
    status: StatusCode,
    template: &str,
    values: impl Serialize,
) -> Response {
    match html.render(language, template, values) {
        Ok(page) => reply::page(status, page),
        Err(error) => {
            tracing::error!(%error, "a page cannot be made");
            reply::page(StatusCode::INTERNAL_SERVER_ERROR, LAST_RESORT.to_owned())
        }
    }
}

/// Returns the response for an error at a page.
pub(crate) fn error(html: &Html, refused: &Refused, error: &MatrixError) -> Response {
    let is_read = matches!(refused.method, Method::GET | Method::HEAD);
    if is_read
        && (error.status, &*error.errcode) == (401, "M_MISSING_TOKEN")
        && let Ok(response) = reply::see_other(&login_for(&refused.target))
    {
        return response;
    }
    let query = refused.target.split_once('?').map_or("", |(_, query)| query);
    let chosen = Query::parse(query).lossy(LANG);
    let wait = error.extra.as_ref().and_then(|extra| extra.get("retry_after_ms")).and_then(Value::as_i64);
    let seconds = wait.map(|ms| ms.max(0).saturating_add(999).div_euclid(1000));
    let words = Words::of(error);
    let values = Values {
        title: words.title,
        text: words.text,
        said: words.says_more.then_some(&*error.error),
        seconds,
        signs_in: words.signs_in,
        request_id: &refused.request_id,
    };
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response =
        make(html, language(chosen.as_deref(), &refused.headers), status, "error.html", values);
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
