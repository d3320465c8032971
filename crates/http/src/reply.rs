//! Responses as sent to clients.

pub use axum_core::body::Body;
use axum_core::response::Response;
use http::{HeaderValue, StatusCode, header};
use reeve_model::MatrixError;
use serde::Serialize;
use serde_json::Value;

use crate::family::Family;

/// The Content Security Policy of pages: they load nothing from elsewhere, and run no scripts.
pub(crate) const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                                      frame-ancestors 'none'; base-uri 'none'";

/// The result of a handler.
pub type Answer = Result<Response, MatrixError>;

/// Returns a JSON response.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let (status, body) = match serde_json::to_vec(body) {
        Ok(body) => (status, body),
        Err(error) => {
            tracing::error!(%error, "a response cannot be serialised as JSON");
            let body = br#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#;
            (StatusCode::INTERNAL_SERVER_ERROR, body.to_vec())
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns a JSON response of a family of routes.
pub fn json_of(family: Family, status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = json(status, body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(family.media_type()));
    response
}

/// Returns the response for an error at a route of a family.
pub fn error(family: Family, error: &MatrixError) -> Response {
    let retry_after =
        error.extra.as_ref().and_then(|extra| extra.get("retry_after_ms")).and_then(Value::as_i64);
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_of(family, status, &family.error_body(error));
    if let Some(ms) = retry_after
        && let Ok(seconds) =
            HeaderValue::from_str(&ms.max(0).saturating_add(999).div_euclid(1000).to_string())
    {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// Returns 200 with a JSON body.
pub fn ok(body: &impl Serialize) -> Answer {
    Ok(json(StatusCode::OK, body))
}

/// Returns 200 `{}`.
pub fn empty() -> Answer {
    ok(&serde_json::Map::new())
}

/// Returns a page.
pub fn page(status: StatusCode, html: String) -> Response {
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(Family::Page.media_type()));
    response
}

/// Lets the forms of a page continue at a source expression of Content Security Policies, too: browsers apply the policy of a
/// page to the redirects that answer its forms.
pub fn forms_continue_at(mut page: Response, source: &str) -> Answer {
    let policy = PAGE_POLICY.replace("form-action 'self'", &format!("form-action 'self' {source}"));
    let policy = HeaderValue::try_from(policy).map_err(MatrixError::internal)?;
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(page)
}

/// Returns 303: the client continues with GET at this address.
pub fn see_other(location: &str) -> Answer {
    let mut response = nothing(StatusCode::SEE_OTHER);
    let location = HeaderValue::try_from(location).map_err(MatrixError::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Returns 200 with a text body.
pub fn text(content_type: &'static str, body: String) -> Answer {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// Returns 200 with bytes that are in memory or streamed; `length` bytes in all.
pub fn bytes(length: u64, body: Body) -> Response {
    let mut response = Response::new(body);
    // The header is set explicitly, since a response to HEAD has no body to derive it from.
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// Returns 200 with a body of unknown length.
pub fn stream(content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Returns a status without a body.
pub fn nothing(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
