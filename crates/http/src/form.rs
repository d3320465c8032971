//! Forms in requests (`application/x-www-form-urlencoded`).

use http::{HeaderMap, header};
use reeve_model::MatrixError;
use serde_json::Value;

use crate::json::Object;

/// The media type of forms.
pub(crate) const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// Reads a form, as the keys of a body. An empty field counts as absent, and none may occur twice (RFC 6749, 3.2).
pub(crate) fn object(headers: &HeaderMap, body: &[u8]) -> Result<Object, MatrixError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(MatrixError::invalid_param(format!("The body must be {MEDIA_TYPE}")));
    }
    let mut object = Object::new();
    for (name, value) in form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty()) {
        if name.contains('\0') || value.contains('\0') {
            return Err(MatrixError::invalid_param("The body must not contain NUL characters"));
        }
        if object.contains_key(&*name) {
            return Err(MatrixError::invalid_param(format!("'{name}' is given more than once")));
        }
        object.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn read(kind: &'static str, body: &str) -> Result<Value, String> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        object(&headers, body.as_bytes()).map(Value::Object).map_err(|error| error.error.into_owned())
    }

    #[test]
    fn forms() {
        let kind = "Application/x-www-form-urlencoded; charset=UTF-8";
        assert_eq!(read(kind, "a=1+2&b=%C3%A4&c=&d"), Ok(json!({ "a": "1 2", "b": "ä" })));
        assert_eq!(read(kind, "a=1&a="), Ok(json!({ "a": "1" })));
        assert_eq!(read(kind, "a=1&a=2"), Err("'a' is given more than once".to_owned()));
        assert_eq!(read(kind, "a=%00"), Err("The body must not contain NUL characters".to_owned()));
        assert_eq!(read("application/json", "{}"), Err(format!("The body must be {MEDIA_TYPE}")));
    }
}
