//! The Matrix client-server API, one file per resource.

mod account;
mod credentials;
mod devices;
mod login;
mod session;
mod uia;

use reeve_http::Route;

pub use uia::prune;

/// Every route of the client-server API.
pub fn routes() -> Vec<Route> {
    let groups = [login::routes(), session::routes(), account::routes(), devices::routes()];
    groups.into_iter().flatten().collect()
}
