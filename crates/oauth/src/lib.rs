//! The OAuth 2.0 server of the Matrix specification: clients that register themselves, requests to act for an account and the
//! answers of its person, codes, tokens, and the endpoints that clients call. The pages that people see are elsewhere.
//! <https://spec.matrix.org/v1.18/client-server-api/#oauth-20-api>

mod api;
pub mod authorization;
pub mod client;
pub mod device;
mod error;
pub mod grant;
pub mod metadata;
pub mod registration;
pub mod revocation;
pub mod scope;
mod uri;

pub use error::Error;
use reeve_app::Route;
use reeve_db::{DbError, Tx};
use reeve_model::Millis;
use reeve_store::{oauth_clients, oauth_device_requests, oauth_requests, oauth_sessions};

/// The time for which a request is remembered after its end, in milliseconds: a client that comes late gets an error that says so, and a code
/// that is used again is recognised.
const REMEMBERED_MS: i64 = 3_600_000;
/// Maximum number of requests of each kind that are deleted, and of clients that are looked at, in one transaction.
const PRUNE_AT_ONCE: i64 = 500;

/// Returns the routes of the endpoints that clients call.
pub fn routes() -> Vec<Route> {
    api::routes()
}

/// Deletes some requests that have ended and, if a time is given, clients that were not used for that time and have no session.
/// Returns true if there may be more.
pub fn prune(tx: &mut Tx<'_>, now: Millis, unused_clients_ms: Option<i64>) -> Result<bool, DbError> {
    let before = now.minus(REMEMBERED_MS);
    let requests = [
        oauth_requests::prune(tx, before, PRUNE_AT_ONCE)?,
        oauth_device_requests::prune(tx, before, PRUNE_AT_ONCE)?,
    ];
    let more_requests = requests.contains(&true);
    let Some(unused_clients_ms) = unused_clients_ms else { return Ok(more_requests) };
    let unused = oauth_clients::unused_since(tx, now.minus(unused_clients_ms), PRUNE_AT_ONCE)?;
    for client_id in &unused {
        if oauth_sessions::has_any(tx, client_id)? {
            // It is looked at again after the same time.
            oauth_clients::touch(tx, client_id, now)?;
        } else {
            oauth_clients::delete(tx, client_id)?;
        }
    }
    let more_clients = i64::try_from(unused.len()).unwrap_or(i64::MAX) >= PRUNE_AT_ONCE;
    Ok(more_requests || more_clients)
}
