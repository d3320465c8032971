//! The administration APIs: Synapse's, under `/_synapse/admin/`, and Reeve's own, under `/_reeve/admin/v1/`.
//!
//! One file per operation, with its types, its documentation and its errors.

mod account_validity;
mod csv;
mod devices;
mod experimental_features;
mod federation;
mod lookups;
mod media;
mod paging;
mod reeve;
mod register;
mod registration_tokens;
mod reports;
mod rooms;
mod scheduled_tasks;
mod send_server_notice;
mod server_version;
mod statistics;
mod target;
mod username_available;
mod users;

use reeve_app::Route;

pub use crate::reeve::openapi::route as openapi_route;
pub use crate::users::export::{Export, Step};

/// Returns every route of the administration APIs.
pub fn routes() -> Vec<Route> {
    let singles = vec![
        account_validity::route(),
        experimental_features::get(),
        experimental_features::put(),
        server_version::route(),
        send_server_notice::post(),
        send_server_notice::put(),
        scheduled_tasks::route(),
        statistics::route(),
        username_available::route(),
    ];
    let groups = [
        users::routes(),
        devices::routes(),
        lookups::routes(),
        media::routes(),
        singles,
        register::routes(),
        registration_tokens::routes(),
        rooms::routes(),
        reports::routes(),
        federation::routes(),
        reeve::routes(),
    ];
    groups.into_iter().flatten().collect()
}
