//! The Matrix client-server API, one file per resource.

use reeve_http::Route;

/// Every route of the client-server API.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
