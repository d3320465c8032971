//! Every SQL statement of Reeve, one file per family of tables. The rules are in the deeds above.

#[macro_use]
mod sql;

pub mod access_tokens;
pub mod account_data;
pub mod alerts;
pub mod audit;
pub mod batches;
pub mod connections;
pub mod cross_signing;
pub mod dehydrated_devices;
pub mod deliveries;
pub mod departures;
pub mod device_changes;
pub mod devices;
pub mod ephemeral;
pub mod event_words;
pub mod events;
pub mod external_ids;
pub mod features;
pub mod filters;
pub mod happenings;
pub mod health;
pub mod jobs;
pub mod key_backups;
pub mod keys;
pub mod lists;
pub mod login_tokens;
pub mod media;
pub mod media_objects;
pub mod media_pending;
pub mod media_statistics;
pub mod media_users;
pub mod memberships;
pub mod notifications;
pub mod openid_tokens;
mod paging;
pub mod profile_fields;
pub mod pushers;
pub mod ratelimits;
pub mod refresh_tokens;
pub mod registration_nonces;
pub mod registration_tokens;
pub mod report_work;
pub mod reports;
pub mod roles;
mod room;
pub mod rooms;
pub mod service_tokens;
pub mod signing_keys;
pub mod silences;
pub mod sliding;
pub mod stream;
pub mod stream_epochs;
pub mod threads;
pub mod threepids;
pub mod to_device;
pub mod transactions;
pub mod uia_sessions;
pub mod users;
pub mod validity;
pub mod webhooks;
pub mod words;

#[cfg(test)]
mod tests;

pub use lists::{roster::Roster, selection::Selection};
pub use paging::{Paging, SortKey};
use reeve_db::{Migration, Statement};

/// The schema, step by step.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "server", sql: include_str!("../migrations/0001_server.sql") },
    Migration { number: 2, name: "accounts", sql: include_str!("../migrations/0002_accounts.sql") },
    Migration { number: 3, name: "user_lists", sql: include_str!("../migrations/0003_user_lists.sql") },
    Migration { number: 4, name: "rooms", sql: include_str!("../migrations/0004_rooms.sql") },
    Migration { number: 5, name: "room_lists", sql: include_str!("../migrations/0005_room_lists.sql") },
    Migration { number: 6, name: "media", sql: include_str!("../migrations/0006_media.sql") },
    Migration { number: 7, name: "encryption", sql: include_str!("../migrations/0007_encryption.sql") },
    Migration { number: 8, name: "push", sql: include_str!("../migrations/0008_push.sql") },
    Migration { number: 9, name: "audit_actor", sql: include_str!("../migrations/0009_audit_actor.sql") },
    Migration { number: 10, name: "deliveries", sql: include_str!("../migrations/0010_deliveries.sql") },
    Migration {
        number: 11,
        name: "transaction_positions",
        sql: include_str!("../migrations/0011_transaction_positions.sql"),
    },
    Migration {
        number: 12,
        name: "service_tokens",
        sql: include_str!("../migrations/0012_service_tokens.sql"),
    },
    Migration { number: 13, name: "roles", sql: include_str!("../migrations/0013_roles.sql") },
    Migration { number: 14, name: "report_work", sql: include_str!("../migrations/0014_report_work.sql") },
    Migration { number: 15, name: "webhooks", sql: include_str!("../migrations/0015_webhooks.sql") },
    Migration { number: 16, name: "selections", sql: include_str!("../migrations/0016_selections.sql") },
    Migration { number: 17, name: "batches", sql: include_str!("../migrations/0017_batches.sql") },
];

/// Every statement of the program, so that a test can prepare each on both engines.
pub fn statements() -> Vec<&'static Statement> {
    let by_tables = [
        access_tokens::STATEMENTS,
        audit::STATEMENTS,
        signing_keys::STATEMENTS,
        uia_sessions::STATEMENTS,
        login_tokens::STATEMENTS,
        openid_tokens::STATEMENTS,
        refresh_tokens::STATEMENTS,
        alerts::STATEMENTS,
        batches::STATEMENTS,
        deliveries::STATEMENTS,
        happenings::STATEMENTS,
        webhooks::STATEMENTS,
        pushers::STATEMENTS,
        account_data::STATEMENTS,
        profile_fields::STATEMENTS,
        validity::STATEMENTS,
        external_ids::STATEMENTS,
        threepids::STATEMENTS,
        connections::STATEMENTS,
        features::STATEMENTS,
        filters::STATEMENTS,
        health::STATEMENTS,
        devices::STATEMENTS,
        jobs::STATEMENTS,
        ratelimits::STATEMENTS,
        registration_nonces::STATEMENTS,
        registration_tokens::STATEMENTS,
        roles::STATEMENTS,
        service_tokens::STATEMENTS,
        users::STATEMENTS,
        stream::STATEMENTS,
        stream_epochs::STATEMENTS,
        rooms::STATEMENTS,
        departures::STATEMENTS,
        events::STATEMENTS,
        threads::STATEMENTS,
        event_words::STATEMENTS,
        notifications::STATEMENTS,
        silences::STATEMENTS,
        memberships::STATEMENTS,
        ephemeral::STATEMENTS,
        transactions::STATEMENTS,
        reports::STATEMENTS,
        report_work::STATEMENTS,
        sliding::STATEMENTS,
        media::STATEMENTS,
        media_objects::STATEMENTS,
        media_pending::STATEMENTS,
        media_statistics::STATEMENTS,
        media_users::STATEMENTS,
        keys::STATEMENTS,
        cross_signing::STATEMENTS,
        device_changes::STATEMENTS,
        to_device::STATEMENTS,
        dehydrated_devices::STATEMENTS,
        key_backups::STATEMENTS,
    ];
    [by_tables.concat(), lists::statements()].concat()
}
