//! Responses, versions of resources, and their preconditions.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.14>

use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reeve_app::json::Object;
use reeve_app::{Answer, App, Family, MatrixError, reply};
use reeve_model::encoding::url_base64;
use reeve_model::session::hash_token;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::stale;
use crate::place::Resource;
use crate::shown::Shown;

pub(crate) const ROOT: &str = "/scim/v2";
/// The number of bytes of a digest that make a version.
const VERSION: usize = 12;
/// Characters that a segment of a path does not escape.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'=')
    .remove(b'+')
    .remove(b':')
    .remove(b'@');

/// Returns the URI of a path under the root: relative to this server, unless the settings say its address.
pub(crate) fn uri(app: &App, path: &str) -> String {
    let base = app.discovery.public_base_url.as_deref().unwrap_or_default();
    format!("{base}{ROOT}{path}")
}

/// Returns the URI of a resource.
pub(crate) fn location(app: &App, resource: Resource, id: &str) -> String {
    uri(app, &format!("{}/{}", resource.endpoint(), utf8_percent_encode(id, SEGMENT)))
}

/// Returns a resource with its version, which is a digest of its attributes but `meta` and the groups of a user. Those are changed
/// with the group, not with the user, and a response need not read them; so the version is the same whatever a request asks for.
pub(crate) fn with_version(mut resource: Object) -> Object {
    let mut facts = resource.clone();
    facts.retain(|name, _| !matches!(name.as_str(), "meta" | "groups"));
    let digest = hash_token(&json!(facts).to_string());
    let version = format!("W/\"{}\"", url_base64(digest.get(..VERSION).unwrap_or_default()));
    if let Some(Value::Object(meta)) = resource.get_mut("meta") {
        meta.insert("version".to_owned(), Value::String(version));
    }
    resource
}

/// Returns a text in `meta` of a resource.
pub(crate) fn meta<'r>(resource: &'r Object, key: &str) -> Option<&'r str> {
    resource.get("meta")?.get(key)?.as_str()
}

/// The versions that a request is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Precondition {
    if_match: Option<String>,
}

impl Precondition {
    /// Reads the header `If-Match`.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Self {
        Self { if_match: text(headers, header::IF_MATCH) }
    }

    /// Returns the one that a bulk operation has.
    pub(crate) fn of_version(version: Option<String>) -> Self {
        Self { if_match: version }
    }

    /// Returns true if the request is about some versions only.
    pub(crate) fn is_given(&self) -> bool {
        self.if_match.is_some()
    }

    /// Refuses if the resource has none of the versions.
    pub(crate) fn check(&self, resource: &Object) -> Result<(), MatrixError> {
        match &self.if_match {
            Some(listed) if !lists(listed, meta(resource, "version")) => Err(stale()),
            Some(_) | None => Ok(()),
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Returns true if a list of entity tags has a version. All versions are weak, so that weakness does not count.
fn lists(listed: &str, version: Option<&str>) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    listed
        .split(',')
        .any(|tag| tag.trim() == "*" || version.is_some_and(|version| opaque(version) == opaque(tag)))
}

/// Returns JSON.
#[expect(clippy::unnecessary_wraps, reason = "handlers end with it")]
pub(crate) fn json_of(status: StatusCode, body: &impl Serialize) -> Answer {
    Ok(reply::json_of(Family::Scim, status, body))
}

/// Returns what is shown of a resource.
#[expect(clippy::unnecessary_wraps, reason = "handlers end with it")]
pub(crate) fn resource(status: StatusCode, kind: Resource, whole: Object, shown: &Shown) -> Answer {
    let version = meta(&whole, "version").and_then(|version| HeaderValue::from_str(version).ok());
    let location = meta(&whole, "location").and_then(|location| HeaderValue::from_str(location).ok());
    let mut response = reply::json_of(Family::Scim, status, &shown.of_resource(kind, whole));
    let headers = response.headers_mut();
    if let Some(version) = version {
        headers.insert(header::ETAG, version);
    }
    if let Some(location) = location {
        headers.insert(header::CONTENT_LOCATION, location.clone());
        if status == StatusCode::CREATED {
            headers.insert(header::LOCATION, location);
        }
    }
    Ok(response)
}

/// Returns a resource that was read, or 304 if the client has this version.
pub(crate) fn read(kind: Resource, whole: Object, shown: &Shown, headers: &HeaderMap) -> Answer {
    let known = text(headers, header::IF_NONE_MATCH);
    if known.is_some_and(|listed| lists(&listed, meta(&whole, "version"))) {
        let version = meta(&whole, "version").and_then(|version| HeaderValue::from_str(version).ok());
        let mut response = reply::nothing(StatusCode::NOT_MODIFIED);
        if let Some(version) = version {
            response.headers_mut().insert(header::ETAG, version);
        }
        return Ok(response);
    }
    resource(StatusCode::OK, kind, whole, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_versions() {
        let version = Some("W/\"a\"");
        for listed in ["W/\"a\"", "\"a\"", "*", "\"b\", W/\"a\""] {
            assert!(lists(listed, version), "{listed}");
        }
        for listed in ["", "\"b\"", "W/\"ab\""] {
            assert!(!lists(listed, version), "{listed}");
        }
        assert!(!lists("\"a\"", None));
    }
}
