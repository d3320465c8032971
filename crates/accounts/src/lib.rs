//! Deeds on accounts: everything that creates or changes an account, and the rules for it.
//!
//! A deed is a synchronous function on one [`reeve_db::Tx`]. It checks, changes, writes the audit entry and queues the
//! jobs that must follow, in one transaction.

pub mod account;
pub mod account_data;
pub mod audit;
pub mod browser_sessions;
pub mod cross_signing;
pub mod deactivate;
pub mod dehydrated;
pub mod devices;
pub mod emails;
pub mod error;
pub mod external_ids;
pub mod features;
pub mod filters;
mod happenings;
pub mod import;
pub mod kept;
pub mod key_backup;
pub mod keys;
pub mod login;
pub mod mails;
pub mod moderation;
pub mod names;
pub mod password;
pub mod password_change;
pub mod policy;
pub mod profile;
pub mod propagation;
pub mod pushers;
pub mod put;
pub mod recovery;
pub mod registration;
pub mod restore;
pub mod rights;
pub mod roles;
pub mod seen;
pub mod selections;
pub mod service_tokens;
pub mod service_uses;
pub mod sessions;
pub mod threepids;
pub mod to_device;
pub mod users;
pub mod validity;

pub use error::Error;
pub use policy::{Limits, MailPolicy, Notices, Policy};
