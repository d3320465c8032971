//! The caller of a request.

use reeve_model::{Actor, Scope, Session, User};

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
