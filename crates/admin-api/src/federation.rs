//! Other servers. This server does not federate, so there are none.

use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::paging;

const ORDERS: &[(&str, ())] = &[
    ("destination", ()),
    ("retry_last_ts", ()),
    ("retry_interval", ()),
    ("failure_ts", ()),
    ("last_successful_stream_ordering", ()),
];
const UNKNOWN: &[(u16, &str, &str)] = &[(404, "M_NOT_FOUND", "always: there is no such server")];

/// A server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OtherServer {
    destination: String,
    retry_last_ts: i64,
    retry_interval: i64,
    #[schema(required)]
    failure_ts: Option<i64>,
    #[schema(required)]
    last_successful_stream_ordering: Option<i64>,
}

/// The servers that this server federates with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OtherServers {
    destinations: Vec<OtherServer>,
    total: i64,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_synapse/admin/v1/federation/destinations", list)
            .access(Access::Admin(Scope::ServerRead))
            .id("listDestinations")
            .summary("Lists the servers that this server federates with: none")
            .query(paging::params("servers").into_iter().chain([
                Param::choice("order_by", ORDERS, "sort order"),
                Param::direction("`f` (the default) or `b` for the reverse order"),
                Param::text("destination", "substring of the name"),
            ]))
            .returns::<OtherServers>(200),
        Route::get("/_synapse/admin/v1/federation/destinations/{destination}", unknown)
            .access(Access::Admin(Scope::ServerRead))
            .id("getDestination")
            .summary("Returns the state of federation with a server")
            .errors(UNKNOWN),
        Route::get("/_synapse/admin/v1/federation/destinations/{destination}/rooms", unknown)
            .access(Access::Admin(Scope::ServerRead))
            .id("listDestinationRooms")
            .summary("Lists the rooms shared with a server")
            .errors(UNKNOWN),
        Route::post("/_synapse/admin/v1/federation/destinations/{destination}/reset_connection", unknown)
            .access(Access::Admin(Scope::ServerWrite))
            .id("resetDestination")
            .summary("Resets the connection to a server")
            .errors(UNKNOWN),
    ]
}

async fn list(call: Call) -> Answer {
    paging::read(&call.query)?;
    call.query.utf8("destination")?;
    call.query.choice("order_by", ORDERS)?;
    call.query.backwards()?;
    reply::ok(&OtherServers { destinations: Vec::new(), total: 0 })
}

async fn unknown(_: Call) -> Answer {
    Err(MatrixError::not_found("Unknown destination"))
}
