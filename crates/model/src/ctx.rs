//! The context of a deed: time, server, request and actor.

use std::sync::Arc;

use crate::clock::Clock;
use crate::num::Millis;

/// The actor of a deed. An administrative deed is attributed to its actor in the audit log.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The full Matrix user id of the acting account; for the command line, `cli`.
    pub user_id: Arc<str>,
    /// The address of the client, if the request came over the network.
    pub ip: Option<Arc<str>>,
}

/// The context of a deed. Cheap to clone; a deed that runs twice sees the same context.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// The time of the deed, in milliseconds since the Unix epoch.
    pub now: Millis,
    /// The name of this homeserver.
    pub server_name: Arc<str>,
    /// The id of the request that caused the deed.
    pub request_id: Arc<str>,
    /// The actor, if there is one.
    pub actor: Option<Actor>,
}

impl Ctx {
    /// The context of a deed without a request, such as a step of a job.
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
