//! The Matrix client-server API, one file per resource.

mod account;
mod account_data;
mod capabilities;
mod credentials;
mod devices;
mod login;
mod misc;
mod presence;
mod profile;
mod push_rules;
mod pushers;
mod register;
mod registration_token_validity;
mod rooms;
mod search;
mod server_keys;
mod session;
mod sync;
mod uia;
mod username;
mod versions;
mod well_known;

use reeve_http::Route;

pub use uia::prune;

/// Every route of the client-server API.
pub fn routes() -> Vec<Route> {
    let groups = [
        versions::routes(),
        well_known::routes(),
        capabilities::routes(),
        register::routes(),
        username::routes(),
        registration_token_validity::routes(),
        login::routes(),
        session::routes(),
        server_keys::routes(),
        account::routes(),
        devices::routes(),
        profile::routes(),
        account_data::routes(),
        pushers::routes(),
        push_rules::routes(),
        rooms::routes(),
        sync::routes(),
        presence::routes(),
        search::routes(),
        misc::routes(),
    ];
    groups.into_iter().flatten().collect()
}
