//! The values of a service token in a request body.

use reeve_app::MatrixError;
use reeve_app::json::{Integer, Object, integer};
use reeve_model::{Millis, Network, Scope, Scopes};
use serde_json::Value;

/// Refuses keys that the operation does not know: a misspelt restriction must not count as none.
pub(super) fn check_keys(body: &Object, known: &[&str]) -> Result<(), MatrixError> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(MatrixError::invalid_param(format!("Unknown key '{key}'"))),
        None => Ok(()),
    }
}

pub(super) fn text(body: &Object, key: &str) -> Result<Option<String>, MatrixError> {
    match body.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(MatrixError::bad_json(format!("'{key}' must be a string"))),
    }
}

/// `description`: `None` if absent.
pub(super) fn description(body: &Object) -> Result<Option<String>, MatrixError> {
    text(body, "description")
}

fn texts<'a>(body: &'a Object, key: &str) -> Result<Option<Vec<&'a str>>, MatrixError> {
    let Some(value) = body.get(key) else { return Ok(None) };
    let texts = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    texts.map(Some).ok_or_else(|| MatrixError::bad_json(format!("'{key}' must be a list of strings")))
}

/// `scopes`: `None` if absent.
pub(super) fn scopes(body: &Object) -> Result<Option<Scopes>, MatrixError> {
    let unknown = |word: &str| MatrixError::invalid_param(format!("'{word}' is not a scope"));
    let scope = |word: &str| word.parse::<Scope>().map_err(|_| unknown(word));
    texts(body, "scopes")?.map(|words| words.into_iter().map(scope).collect()).transpose()
}

/// `networks`: `None` if absent.
pub(super) fn networks(body: &Object) -> Result<Option<Vec<Network>>, MatrixError> {
    let wrong =
        |text: &str| MatrixError::invalid_param(format!("'{text}' is neither an address nor a network"));
    let network = |text: &str| text.parse().map_err(|_| wrong(text));
    texts(body, "networks")?.map(|texts| texts.into_iter().map(network).collect()).transpose()
}

/// `expires_ts`: `None` if absent, `Some(None)` for never.
pub(super) fn expires_ts(body: &Object) -> Result<Option<Option<Millis>>, MatrixError> {
    match body.get("expires_ts").map(|value| (value, integer(value))) {
        None => Ok(None),
        Some((Value::Null, _)) => Ok(Some(None)),
        Some((_, Integer::Is(expires))) => Ok(Some(Some(Millis::new(expires)))),
        Some(_) => Err(MatrixError::bad_json("'expires_ts' must be an integer or null")),
    }
}
