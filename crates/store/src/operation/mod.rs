//! The work of the server and of those who operate it.

pub mod alerts;
pub mod audit;
pub mod batches;
pub mod deliveries;
pub mod exports;
pub mod happenings;
pub mod health;
pub mod jobs;
pub mod mails;
pub mod pushers;
pub mod retention;
pub mod scim_groups;
pub mod service_tokens;
pub mod signing_keys;
pub mod webhooks;

use reeve_db::Statement;

/// Every statement of these modules.
pub(crate) const STATEMENTS: &[&[&Statement]] = &[
    audit::STATEMENTS,
    signing_keys::STATEMENTS,
    alerts::STATEMENTS,
    batches::STATEMENTS,
    deliveries::STATEMENTS,
    exports::STATEMENTS,
    happenings::STATEMENTS,
    webhooks::STATEMENTS,
    pushers::STATEMENTS,
    retention::STATEMENTS,
    scim_groups::STATEMENTS,
    health::STATEMENTS,
    jobs::STATEMENTS,
    mails::STATEMENTS,
    service_tokens::STATEMENTS,
];
