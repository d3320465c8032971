//! Every SQL sentence of Reeve, one file per family of tables. Decides nothing: rules live in the deeds above.

pub mod access_tokens;
pub mod audit;
pub mod pushers;
pub mod account_data;
pub mod profile_fields;
pub mod validity;
pub mod external_ids;
pub mod threepids;
pub mod connections;
pub mod devices;
pub mod jobs;
pub mod ratelimits;
pub mod users;

pub mod user_list;
pub mod user_list_counts;
pub mod user_search;

#[cfg(test)]
mod tests;

use reeve_db::{Migration, Statement};

/// The schema, step by step.
pub const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, name: "accounts", sql: include_str!("../migrations/0001_accounts.sql") }];

/// Every statement of the program, so that a test can prepare each on both engines.
pub fn statements() -> Vec<&'static Statement> {
    [
        access_tokens::STATEMENTS,
        audit::STATEMENTS,
        pushers::STATEMENTS,
        account_data::STATEMENTS,
        profile_fields::STATEMENTS,
        validity::STATEMENTS,
        external_ids::STATEMENTS,
        threepids::STATEMENTS,
        connections::STATEMENTS,
        devices::STATEMENTS,
        jobs::STATEMENTS,
        ratelimits::STATEMENTS,
        users::STATEMENTS, user_list::STATEMENTS, user_list_counts::STATEMENTS, user_search::STATEMENTS].concat()
}
