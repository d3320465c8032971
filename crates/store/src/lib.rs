//! Every SQL statement of Reeve, one file per family of tables. The rules are in the deeds above.

#[macro_use]
mod sql;

mod accounts;
mod binned;
mod conversations;
mod encryption;
pub mod lists;
mod operation;
mod paging;
mod syncing;
mod uploads;
pub mod words;

#[cfg(test)]
mod tests;

pub use accounts::*;
pub use binned::Binned;
pub(crate) use conversations::room;
pub use conversations::*;
pub use encryption::*;
pub use lists::{roster::Roster, selection::Selection};
pub use operation::*;
pub use paging::{Paging, SortKey};
use reeve_db::{Migration, Statement};
pub use syncing::*;
pub use uploads::*;

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
    Migration {
        number: 18,
        name: "kept_accounts",
        sql: include_str!("../migrations/0018_kept_accounts.sql"),
    },
    Migration { number: 19, name: "bin", sql: include_str!("../migrations/0019_bin.sql") },
    Migration { number: 20, name: "retention", sql: include_str!("../migrations/0020_retention.sql") },
    Migration { number: 21, name: "scim_groups", sql: include_str!("../migrations/0021_scim_groups.sql") },
    Migration { number: 22, name: "exports", sql: include_str!("../migrations/0022_exports.sql") },
    Migration {
        number: 23,
        name: "password_change",
        sql: include_str!("../migrations/0023_password_change.sql"),
    },
    Migration { number: 24, name: "room_bin", sql: include_str!("../migrations/0024_room_bin.sql") },
    Migration {
        number: 25,
        name: "exports_queue",
        sql: include_str!("../migrations/0025_exports_queue.sql"),
    },
    Migration {
        number: 26,
        name: "browser_sessions",
        sql: include_str!("../migrations/0026_browser_sessions.sql"),
    },
    Migration { number: 27, name: "oauth", sql: include_str!("../migrations/0027_oauth.sql") },
    Migration { number: 28, name: "email", sql: include_str!("../migrations/0028_email.sql") },
];

/// Every statement of the program, so that a test can prepare each on both engines.
pub fn statements() -> Vec<&'static Statement> {
    let by_tables = [
        accounts::STATEMENTS.concat(),
        conversations::STATEMENTS.concat(),
        encryption::STATEMENTS.concat(),
        operation::STATEMENTS.concat(),
        syncing::STATEMENTS.concat(),
        uploads::STATEMENTS.concat(),
    ];
    [by_tables.concat(), lists::statements()].concat()
}
