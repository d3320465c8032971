//! The Matrix client-server API, one file per resource.

mod account;
mod account_data;
mod account_validity;
mod auth_metadata;
mod capabilities;
mod cross_signing;
mod dehydrated_device;
mod devices;
pub mod email;
mod exports;
mod keys;
mod login;
mod media;
mod misc;
mod mutual_rooms;
mod old_sync;
mod openid;
mod password_policy;
mod presence;
mod profile;
mod push_rules;
mod pushers;
mod recovery;
mod register;
mod registration_token_validity;
mod room_keys;
mod rooms;
mod search;
mod server_keys;
mod session;
mod shapes;
mod sliding_sync;
mod stage;
mod sync;
mod threepids;
mod to_device;
mod uia;
mod unsubscribe;
mod username;
mod versions;
mod voip;
mod well_known;

pub use recovery::choose_password;
pub use register::create_account;
pub use versions::VERSIONS;

use reeve_app::Route;
use reeve_db::{DbError, Tx};
use reeve_model::Millis;

/// Returns every route of the client-server API.
pub fn routes() -> Vec<Route> {
    let groups = [
        versions::routes(),
        well_known::routes(),
        auth_metadata::routes(),
        capabilities::routes(),
        register::routes(),
        username::routes(),
        registration_token_validity::routes(),
        login::routes(),
        session::routes(),
        server_keys::routes(),
        account::routes(),
        threepids::routes(),
        account_validity::routes(),
        password_policy::routes(),
        devices::routes(),
        keys::routes(),
        cross_signing::routes(),
        room_keys::routes(),
        dehydrated_device::routes(),
        to_device::routes(),
        profile::routes(),
        account_data::routes(),
        pushers::routes(),
        push_rules::routes(),
        rooms::routes(),
        sync::routes(),
        sliding_sync::routes(),
        presence::routes(),
        search::routes(),
        media::routes(),
        exports::routes(),
        unsubscribe::routes(),
        misc::routes(),
        mutual_rooms::routes(),
        old_sync::routes(),
        openid::routes(),
        voip::routes(),
    ];
    groups.into_iter().flatten().collect()
}

/// Deletes a batch of expired sessions and requests that clients did not complete; returns false if there were none.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<bool, DbError> {
    let found =
        [uia::prune(tx, now)?, reeve_media::deeds::prune(tx, now)?, reeve_sync::sliding::prune(tx, now)?];
    Ok(found.contains(&true))
}
