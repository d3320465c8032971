//! The responses of a server.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// A response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; a body that is not JSON as a string.
    pub body: Value,
    /// The raw body.
    pub bytes: Bytes,
}

impl PartialEq<(u16, Value)> for Reply {
    fn eq(&self, (status, body): &(u16, Value)) -> bool {
        self.status == *status && self.body == *body
    }
}

impl Reply {
    /// `(status, errcode, error)`, to compare errors with.
    pub fn refusal(&self) -> (u16, &str, &str) {
        let text = |key: &str| self.body.get(key).and_then(Value::as_str).unwrap_or_default();
        (self.status, text("errcode"), text("error"))
    }

    /// True if it is this error: `(status, errcode, error)`. Errors of SCIM and OAuth have no `errcode`, and a page has words of its
    /// own.
    pub fn is_refused(&self, (status, errcode, error): (u16, &str, &str)) -> bool {
        match self.header("content-type") {
            "application/scim+json" => {
                (self.status, self.text("status"), self.text("detail"))
                    == (status, &*status.to_string(), error)
            }
            "text/html; charset=utf-8" => self.status == status,
            _ if self.body.get("error_description").is_some() => {
                (self.status, self.text("error_description")) == (status, error)
            }
            _ => self.refusal() == (status, errcode, error),
        }
    }

    /// A string in the body; empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The page, if it is one; else blank.
    pub fn html(&self) -> &str {
        self.body.as_str().unwrap_or_default()
    }

    /// A header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
