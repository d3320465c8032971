//! Connections of an account.

use std::collections::HashMap;

use reeve_accounts::seen::Sighting;
use reeve_app::Params;
use reeve_app::{Access, Answer, MatrixError, Reading, Route, reply};
use reeve_model::{Scope, id};
use reeve_store::connections::{self, Connection};
use reeve_store::users;
use serde::Serialize;
use utoipa::ToSchema;

use crate::target;

/// Maximum number of connections in a response, the newest first.
const MAX: i64 = 10_000;

/// The connections of an account, by device; all are listed under one device with an empty name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Whois {
    user_id: String,
    #[schema(value_type = std::collections::BTreeMap<String, WhoisDevice>)]
    devices: WhoisDevices,
}

/// All connections are listed under one device with an empty name.
#[derive(Debug, Serialize)]
pub(crate) struct WhoisDevices {
    #[serde(rename = "")]
    all: WhoisDevice,
}

/// The one device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoisDevice {
    /// Always one.
    sessions: [WhoisSession; 1],
}

/// The one session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoisSession {
    connections: Vec<WhoisConnection>,
}

/// A connection: an access token and an address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoisConnection {
    ip: String,
    /// When it was last seen, in milliseconds.
    last_seen: i64,
    user_agent: String,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/whois/{user_id}", handle)
        .also("/_matrix/client/v3/admin/whois/{user_id}")
        .also("/_matrix/client/r0/admin/whois/{user_id}")
        .also("/_matrix/client/api/v1/admin/whois/{user_id}")
        .also("/_matrix/client/unstable/admin/whois/{user_id}")
        .access(Access::SelfOr(Scope::UsersRead))
        .before(shape)
        .id("whois")
        .summary("Lists the connections of an account")
        .description(
            "Callers with the scope can ask about every account, other users about their own. A connection is deleted \
             28 days after it was last seen, or as `retention.ip_addresses_ms` says. The user id is checked before the access token.",
        )
        .returns::<Whois>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
            (403, "M_FORBIDDEN", "the account is not the caller's, and the caller lacks the scope"),
        ])
        .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3adminwhoisuserid")
}

fn shape(params: &Params) -> Result<(), MatrixError> {
    id::split(params.get("user_id"))?;
    Ok(())
}

fn handle(call: &Reading<'_>) -> Answer {
    let is_own = call.caller().user().is_some_and(|user| user.user_id == call.params.get("user_id"));
    if !is_own && !call.caller().holds(Scope::UsersRead) {
        return Err(MatrixError::forbidden("You are not a server admin"));
    }
    let user_id = target::local_user(call, "Can only whois a local user")?;
    let connections = match users::num(call.tx, &user_id)? {
        None => Vec::new(),
        Some(num) => merged(connections::of_user(call.tx, num, MAX)?, call.app.seen.lately(num)),
    };
    reply::ok(&Whois {
        user_id,
        devices: WhoisDevices { all: WhoisDevice { sessions: [WhoisSession { connections }] } },
    })
}

/// Returns the connections in the database and the recent ones in memory, the newest first.
fn merged(written: Vec<Connection>, lately: Vec<Sighting>) -> Vec<WhoisConnection> {
    let mut newest: HashMap<([u8; 32], String), WhoisConnection> = HashMap::new();
    for Connection { token_hash, ip, user_agent, last_seen_ts, .. } in written {
        newest.insert(
            (token_hash, ip.clone()),
            WhoisConnection { ip, last_seen: last_seen_ts.get(), user_agent },
        );
    }
    for Sighting { token_hash, ip, user_agent, ts, .. } in lately {
        newest.insert((token_hash, ip.clone()), WhoisConnection { ip, last_seen: ts.get(), user_agent });
    }
    let mut connections: Vec<WhoisConnection> = newest.into_values().collect();
    connections.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.ip.cmp(&b.ip)));
    connections
}
