//! What every deed is told about its cause: when, where, and by whom.

use std::sync::Arc;

use crate::clock::Clock;
use crate::num::Millis;

/// Who is behind a deed. An administrative deed is attributed to its actor in the audit log.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The full Matrix user id of the account that acts; for the command line, `cli`.
    pub user_id: Arc<str>,
    /// The address the request came from, where it came over the network.
    pub ip: Option<Arc<str>>,
}

/// The circumstances of a deed. Cheap to clone; a deed that runs twice sees the same circumstances.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// When the deed happens, in milliseconds since the Unix epoch.
    pub now: Millis,
    /// The name of this homeserver.
    pub server_name: Arc<str>,
    /// The id of the request that caused the deed.
    pub request_id: Arc<str>,
    /// Who acts, if somebody does.
    pub actor: Option<Actor>,
}

impl Ctx {
    /// Circumstances of a deed that nobody asked for, such as a step of a job.
    pub fn system(clock: &Clock, server_name: &Arc<str>, cause: &str) -> Self {
        Self {
            now: clock.now(),
            server_name: Arc::clone(server_name),
            request_id: Arc::from(cause),
            actor: None,
        }
    }

    /// The full user id of a localpart on this server.
    pub fn user_id(&self, localpart: &str) -> String {
        format!("@{localpart}:{}", self.server_name)
    }
}
