//! The context of a deed: time, server, request and actor.

use std::sync::Arc;

use crate::clock::Clock;
use crate::num::Millis;
use crate::scopes::Scopes;
use crate::word::ActorKind;

/// The actor of a deed. An administrative deed is attributed to its actor in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An account, by its full user id.
    User(Arc<str>),
    /// A program with a credential that belongs to no account, by the name of the credential.
    Service(Arc<str>),
    /// An application service, in the name of an account.
    Appservice {
        /// The id of the application service.
        id: Arc<str>,
        /// The full user id of the account.
        user_id: Arc<str>,
    },
    /// This server by itself.
    Server,
    /// The command line of this server.
    Cli,
    /// A job, by its kind.
    Job(Arc<str>),
}

impl Actor {
    /// The kind of the actor.
    pub const fn kind(&self) -> ActorKind {
        match self {
            Self::User(_) => ActorKind::User,
            Self::Service(_) => ActorKind::Service,
            Self::Appservice { .. } => ActorKind::Appservice,
            Self::Server => ActorKind::Server,
            Self::Cli => ActorKind::Cli,
            Self::Job(_) => ActorKind::Job,
        }
    }

    /// The id of the actor among those of its kind; the word of the kind if there is only one.
    pub fn id(&self) -> &str {
        match self {
            Self::User(id) | Self::Service(id) | Self::Appservice { id, .. } | Self::Job(id) => id,
            Self::Server | Self::Cli => self.kind().as_str(),
        }
    }

    /// The full user id of the account that acts, if one does.
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::User(user_id) | Self::Appservice { user_id, .. } => Some(user_id),
            Self::Service(_) | Self::Server | Self::Cli | Self::Job(_) => None,
        }
    }
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
    /// The address of the client, if the request came over the network.
    pub ip: Option<Arc<str>>,
    /// The actor of an administrative deed; `None` for people's own deeds and for work of the server, which are not
    /// audited.
    pub actor: Option<Actor>,
    /// The scopes of the actor, which deeds ask for where an act needs more than its route; all for a deed without an
    /// actor, which administers nothing.
    pub scopes: Scopes,
}

impl Ctx {
    /// The context of a deed without a request, such as a step of a job.
    pub fn system(clock: &Clock, server_name: &Arc<str>, cause: &str) -> Self {
        Self {
            now: clock.now(),
            server_name: Arc::clone(server_name),
            request_id: Arc::from(cause),
            ip: None,
            actor: None,
            scopes: Scopes::ALL,
        }
    }

    /// The full user id of a localpart on this server.
    pub fn user_id(&self, localpart: &str) -> String {
        format!("@{localpart}:{}", self.server_name)
    }

    /// The full user id of the account that acts as the actor, if one does.
    pub fn account(&self) -> Option<&str> {
        self.actor.as_ref().and_then(Actor::user_id)
    }

    /// True if this account is the actor.
    pub fn is_by(&self, user_id: &str) -> bool {
        self.account() == Some(user_id)
    }
}
