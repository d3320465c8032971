//! Values that bodies of Reeve's own API share.

use reeve_app::MatrixError;
use reeve_app::json::Object;
use reeve_model::{Scope, Scopes};

/// Refuses keys that the operation does not know: a misspelt restriction must not count as none.
pub(crate) fn refuse_unknown(unknown: &Object) -> Result<(), MatrixError> {
    match unknown.keys().next() {
        Some(key) => Err(MatrixError::invalid_param(format!("Unknown key '{key}'"))),
        None => Ok(()),
    }
}

/// Returns the error for a list with other values than strings.
pub(super) fn not_strings(key: &'static str) -> MatrixError {
    MatrixError::bad_json(format!("'{key}' must be a list of strings"))
}

/// Reads scopes.
pub(super) fn scopes(words: &[String]) -> Result<Scopes, MatrixError> {
    let unknown = |word: &str| MatrixError::invalid_param(format!("'{word}' is not a scope"));
    words.iter().map(|word| word.parse::<Scope>().map_err(|_| unknown(word))).collect()
}
