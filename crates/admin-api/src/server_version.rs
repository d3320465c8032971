//! The version of the admin API.

use reeve_app::{Access, Answer, Call, Route, reply};
use serde::Serialize;
use utoipa::ToSchema;

/// The version of Synapse whose admin API this server implements, as clients that compare versions expect it,
/// and the version of this server.
const VERSION: &str = concat!("1.163.2 (Reeve ", env!("CARGO_PKG_VERSION"), ")");

/// The version of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerVersion {
    /// The version of Synapse whose admin API is implemented, then the version of this server.
    server_version: &'static str,
}

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/server_version", handle)
        .access(Access::Anybody)
        .id("getServerVersion")
        .summary("Returns the version of the admin API that the server implements")
        .returns::<ServerVersion>(200)
}

async fn handle(_call: Call) -> Answer {
    reply::ok(&ServerVersion { server_version: VERSION })
}
