//! The terms of a service token in a request body.

use reeve_app::MatrixError;
use reeve_model::Network;

/// Returns the error for a time of expiry that is none.
pub(super) fn not_a_time(key: &'static str) -> MatrixError {
    MatrixError::bad_json(format!("'{key}' must be an integer or null"))
}

/// Reads addresses and networks.
pub(super) fn networks(texts: &[String]) -> Result<Vec<Network>, MatrixError> {
    let wrong =
        |text: &str| MatrixError::invalid_param(format!("'{text}' is neither an address nor a network"));
    texts.iter().map(|text| text.parse().map_err(|_| wrong(text))).collect()
}
