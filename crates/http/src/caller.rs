//! The caller of a request, and the credentials that say who it is.

use std::net::IpAddr;

use reeve_model::{Actor, Millis, Scope, Session, TokenHash, User};

/// The credentials of a request.
#[derive(Clone, Copy, Debug)]
pub struct Credentials {
    /// The digest of its token.
    pub token_hash: TokenHash,
    /// The address of the client.
    pub ip: IpAddr,
    /// The time of the request, in milliseconds.
    pub now: Millis,
}

/// The caller of a request, as its credentials say.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody in particular: the route reads no token, or an optional one was not sent.
    Nobody,
    /// An account, in one of its sessions.
    Session(Box<Session>),
}

impl Caller {
    /// The session, if the caller has one.
    pub fn session(&self) -> Option<&Session> {
        match self {
            Self::Nobody => None,
            Self::Session(session) => Some(session),
        }
    }

    /// The account as which the caller acts.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::Nobody => None,
            Self::Session(session) => Some(&session.user),
        }
    }

    /// True if the caller has a right of administration.
    pub fn holds(&self, scope: Scope) -> bool {
        match self {
            Self::Nobody => false,
            Self::Session(session) => session.holds(scope),
        }
    }

    /// The actor for the audit log.
    pub fn actor(&self) -> Option<Actor> {
        match self {
            Self::Nobody => None,
            Self::Session(session) => Some(session.actor()),
        }
    }
}
