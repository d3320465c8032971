//! The administration APIs: Synapse's, under `/_synapse/admin/`, and Reeve's own, under `/_reeve/admin/v1/`.
//!
//! One file per operation, with its types, its documentation and its errors.

mod target;
mod users;

use reeve_http::Route;

/// Every route of the administration APIs.
pub fn routes() -> Vec<Route> {
    let groups = [users::routes()];
    groups.into_iter().flatten().collect()
}
