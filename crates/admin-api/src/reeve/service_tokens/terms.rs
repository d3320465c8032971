//! The terms of a service token in a request body.

use reeve_app::MatrixError;
use reeve_app::json::Object;
use reeve_model::{Network, Scope, Scopes};

/// Refuses keys that the operation does not know: a misspelt restriction must not count as none.
pub(in super::super) fn refuse_unknown(unknown: &Object) -> Result<(), MatrixError> {
    match unknown.keys().next() {
        Some(key) => Err(MatrixError::invalid_param(format!("Unknown key '{key}'"))),
        None => Ok(()),
    }
}

/// The error for a list with other values than strings.
pub(in super::super) fn not_strings(key: &'static str) -> MatrixError {
    MatrixError::bad_json(format!("'{key}' must be a list of strings"))
}

/// The error for a time of expiry that is none.
pub(super) fn not_a_time(key: &'static str) -> MatrixError {
    MatrixError::bad_json(format!("'{key}' must be an integer or null"))
}

/// Reads scopes.
pub(super) fn scopes(words: &[String]) -> Result<Scopes, MatrixError> {
    let unknown = |word: &str| MatrixError::invalid_param(format!("'{word}' is not a scope"));
    words.iter().map(|word| word.parse::<Scope>().map_err(|_| unknown(word))).collect()
}

/// Reads addresses and networks.
pub(super) fn networks(texts: &[String]) -> Result<Vec<Network>, MatrixError> {
    let wrong =
        |text: &str| MatrixError::invalid_param(format!("'{text}' is neither an address nor a network"));
    texts.iter().map(|text| text.parse().map_err(|_| wrong(text))).collect()
}
