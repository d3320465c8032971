//! Accounts: who they are, how they log in, and what they keep.

pub mod access_tokens;
pub mod account_data;
pub mod browser_sessions;
pub mod connections;
pub mod devices;
pub mod email_validations;
pub mod external_ids;
pub mod features;
pub mod filters;
pub mod kept;
pub mod login_tokens;
pub mod oauth_clients;
pub mod oauth_device_requests;
pub mod oauth_requests;
pub mod oauth_sessions;
pub mod openid_tokens;
pub mod profile_fields;
pub mod ratelimits;
pub mod refresh_tokens;
pub mod registration_nonces;
pub mod registration_tokens;
pub mod roles;
pub mod threepids;
pub mod uia_sessions;
pub mod users;
pub mod validity;

use reeve_db::Statement;

/// Every statement of these modules.
pub(crate) const STATEMENTS: &[&[&Statement]] = &[
    access_tokens::STATEMENTS,
    browser_sessions::STATEMENTS,
    uia_sessions::STATEMENTS,
    login_tokens::STATEMENTS,
    oauth_clients::STATEMENTS,
    oauth_device_requests::STATEMENTS,
    oauth_requests::STATEMENTS,
    oauth_sessions::STATEMENTS,
    openid_tokens::STATEMENTS,
    refresh_tokens::STATEMENTS,
    account_data::STATEMENTS,
    profile_fields::STATEMENTS,
    validity::STATEMENTS,
    external_ids::STATEMENTS,
    threepids::STATEMENTS,
    connections::STATEMENTS,
    features::STATEMENTS,
    filters::STATEMENTS,
    kept::STATEMENTS,
    devices::STATEMENTS,
    email_validations::STATEMENTS,
    ratelimits::STATEMENTS,
    registration_nonces::STATEMENTS,
    registration_tokens::STATEMENTS,
    roles::STATEMENTS,
    users::STATEMENTS,
];
