//! SCIM 2.0 (RFC 7643, RFC 7644) under `/scim/v2/`, by which identity providers create, change and delete accounts, and say who
//! belongs to which group. One file per operation.
//!
//! Resources are not stored: a user is an account, a group a role or a room, and each change is one of the deeds that
//! the other APIs of administration do, with the same rights and the same entries in the audit log.

mod account;
mod attribute;
mod bulk;
mod discovery;
mod error;
mod filter;
mod group_rooms;
mod groups;
mod meta;
mod name;
mod patch;
mod place;
mod query;
mod read;
mod reply;
mod schema;
mod search;
mod shown;
mod times;
mod users;

use reeve_app::Route;

/// Returns the routes of SCIM.
pub fn routes() -> Vec<Route> {
    let singles = vec![bulk::route(), search::route()];
    [discovery::routes(), users::routes(), groups::routes(), singles].into_iter().flatten().collect()
}
