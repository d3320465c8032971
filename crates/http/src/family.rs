//! Families of routes. A family decides the form of errors and the media type of JSON, also where a path of the family
//! leads to no route.

use std::borrow::Cow;

use reeve_model::MatrixError;
use serde_json::{Map, Value, json};

/// The schema of errors of SCIM.
const SCIM_ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// A family of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Routes with Matrix errors: all but those of other families.
    Matrix,
    /// Routes of SCIM (RFC 7644).
    Scim,
    /// Routes of OAuth 2.0 that programs call (RFC 6749, 5.2).
    OAuth,
    /// Pages for people, with errors that are pages.
    Page,
}

impl Family {
    /// Returns the family to which a path belongs, whether or not it leads to a route.
    pub fn of(path: &str) -> Self {
        let is_under =
            |root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_under("/scim/v2") {
            Self::Scim
        } else if is_under("/_reeve/oauth") {
            Self::OAuth
        } else if is_under("/_reeve/pages") {
            Self::Page
        } else {
            Self::Matrix
        }
    }

    /// Returns the media type of its JSON.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Matrix | Self::OAuth => "application/json",
            Self::Scim => "application/scim+json",
            Self::Page => "text/html; charset=utf-8",
        }
    }

    /// Returns the name of the schema of its errors in the OpenAPI document.
    pub(crate) const fn error_schema(self) -> &'static str {
        match self {
            Self::Matrix => "MatrixError",
            Self::Scim => "ScimError",
            Self::OAuth => "OAuthError",
            Self::Page => "PageError",
        }
    }

    /// Returns the key of its errors that holds the code, for programs.
    pub(crate) const fn code_key(self) -> &'static str {
        match self {
            Self::Matrix => "errcode",
            Self::Scim => "scimType",
            Self::OAuth => "error",
            Self::Page => "",
        }
    }

    /// Returns the code that an error has in this family; `None` if it has none.
    pub(crate) fn code(self, status: u16, errcode: &str) -> Option<&str> {
        match self {
            Self::Matrix => Some(errcode).filter(|errcode| !errcode.is_empty()),
            Self::Scim if !errcode.starts_with("M_") && !errcode.starts_with("ORG_") => {
                Some(errcode).filter(|errcode| !errcode.is_empty())
            }
            Self::Scim if status != 400 => None,
            Self::Scim if matches!(errcode, "M_NOT_JSON" | "M_BAD_JSON") => Some("invalidSyntax"),
            Self::Scim => Some("invalidValue"),
            Self::OAuth if !errcode.starts_with("M_") && !errcode.starts_with("ORG_") => Some(errcode),
            Self::OAuth => Some(match status {
                429 | 503 => "temporarily_unavailable",
                500..=599 => "server_error",
                _ => "invalid_request",
            }),
            Self::Page => None,
        }
    }

    /// Returns the body of an error.
    pub fn error_body(self, error: &MatrixError) -> Map<String, Value> {
        let mut body = Map::new();
        match self {
            Self::Matrix => {
                // Interactive authentication that continues is not an error and has no code.
                if !error.errcode.is_empty() {
                    body.insert("errcode".to_owned(), json!(error.errcode));
                    body.insert("error".to_owned(), json!(error.error));
                }
                body.extend(error.extra.as_deref().cloned().unwrap_or_default());
            }
            Self::Scim => {
                body.insert("schemas".to_owned(), json!([SCIM_ERROR]));
                body.insert("status".to_owned(), json!(error.status.to_string()));
                if let Some(code) = self.code(error.status, &error.errcode) {
                    body.insert("scimType".to_owned(), json!(code));
                }
                body.insert("detail".to_owned(), json!(error.error));
            }
            Self::OAuth => {
                if let Some(code) = self.code(error.status, &error.errcode) {
                    body.insert("error".to_owned(), json!(code));
                }
                body.insert("error_description".to_owned(), json!(error.error));
            }
            // The page is made where pages are made.
            Self::Page => {}
        }
        body
    }

    /// Returns an example of an error with this code.
    pub(crate) fn error_example(self, status: u16, code: Option<&str>) -> Value {
        let errcode = Cow::Owned(code.unwrap_or_default().to_owned());
        Value::Object(self.error_body(&MatrixError::new(status, errcode, "What went wrong")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_families() {
        for path in ["/scim/v2", "/scim/v2/", "/scim/v2/Users", "/scim/v2/nothing"] {
            assert_eq!(Family::of(path), Family::Scim, "{path}");
        }
        assert_eq!(Family::of("/_reeve/oauth/token"), Family::OAuth);
        assert_eq!(Family::of("/_reeve/pages/login"), Family::Page);
        for path in ["/", "/scim", "/scim/v2x", "/scim/v1/Users", "/_matrix/scim/v2/", "/_reeve/oauthx"] {
            assert_eq!(Family::of(path), Family::Matrix, "{path}");
        }
    }

    #[test]
    fn errors_of_oauth() {
        let body = |error: MatrixError| Value::Object(Family::OAuth.error_body(&error));
        let shown = |code: &str| json!({ "error": code, "error_description": "no" });
        assert_eq!(body(MatrixError::new(400, "invalid_grant", "no")), shown("invalid_grant"));
        assert_eq!(body(MatrixError::invalid_param("no")), shown("invalid_request"));
        assert_eq!(body(MatrixError::new(429, "M_LIMIT_EXCEEDED", "no")), shown("temporarily_unavailable"));
        assert_eq!(body(MatrixError::new(500, "M_UNKNOWN", "no")), shown("server_error"));
    }

    #[test]
    fn errors_of_scim() {
        let body = |error: MatrixError| Value::Object(Family::Scim.error_body(&error));
        let own = MatrixError::new(400, "invalidFilter", "no");
        let schemas = [SCIM_ERROR];
        let wanted =
            json!({ "schemas": schemas, "status": "400", "scimType": "invalidFilter", "detail": "no" });
        assert_eq!(body(own), wanted);
        let wanted = json!({ "schemas": schemas, "status": "404", "detail": "no" });
        assert_eq!(body(MatrixError::not_found("no")), wanted);
        let code = |error: MatrixError| body(error).get("scimType").cloned();
        assert_eq!(code(MatrixError::bad_json("no")), Some(json!("invalidSyntax")));
        assert_eq!(code(MatrixError::invalid_param("no")), Some(json!("invalidValue")));
        assert_eq!(code(MatrixError::unknown_token("no", true)), None);
    }
}
