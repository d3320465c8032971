//! The caller of a request, and the credentials that say who it is.

use std::net::IpAddr;

use reeve_model::session::hash_token;
use reeve_model::{Actor, BrowserSession, Millis, Scope, Scopes, Service, Session, TokenHash, User, service};

/// A token as a request presents it.
#[derive(Clone, Copy, Debug)]
pub enum Token {
    /// An access token, by its digest.
    Access(TokenHash),
    /// The secret of a service token, by its digest.
    Service(TokenHash),
    /// The cookie of a browser, by the digest of its secret.
    Browser(TokenHash),
}

impl Token {
    /// Returns the token of this text.
    pub(crate) fn read(text: &str) -> Self {
        let hash = hash_token(text);
        if text.starts_with(service::PREFIX) { Self::Service(hash) } else { Self::Access(hash) }
    }
}

/// The credentials of a request.
#[derive(Clone, Copy, Debug)]
pub struct Credentials {
    /// Its token.
    pub token: Token,
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
    /// A service token, which belongs to no account.
    Service(Box<Service>),
    /// An account, in a browser session.
    Browser(Box<BrowserSession>),
}

impl Caller {
    /// Returns the session, if the caller has one.
    pub fn session(&self) -> Option<&Session> {
        match self {
            Self::Nobody | Self::Service(_) | Self::Browser(_) => None,
            Self::Session(session) => Some(session),
        }
    }

    /// Returns the browser session, if the caller has one.
    pub fn browser(&self) -> Option<&BrowserSession> {
        match self {
            Self::Nobody | Self::Session(_) | Self::Service(_) => None,
            Self::Browser(browser) => Some(browser),
        }
    }

    /// Returns the account as which the caller acts.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::Nobody | Self::Service(_) => None,
            Self::Session(session) => Some(&session.user),
            Self::Browser(browser) => Some(&browser.user),
        }
    }

    /// Returns the rights of administration that the caller has.
    pub fn scopes(&self) -> Scopes {
        match self {
            Self::Nobody => Scopes::NONE,
            Self::Session(session) => session.scopes,
            Self::Service(service) => service.scopes,
            Self::Browser(browser) => browser.scopes,
        }
    }

    /// Returns true if the caller has a right of administration.
    pub fn holds(&self, scope: Scope) -> bool {
        self.scopes().contains(scope)
    }

    /// Returns the actor for the audit log.
    pub fn actor(&self) -> Option<Actor> {
        match self {
            Self::Nobody => None,
            Self::Session(session) => Some(session.actor()),
            Self::Service(service) => Some(service.actor()),
            Self::Browser(browser) => Some(browser.actor()),
        }
    }

    /// Returns true if the person of the caller must change the password before doing anything else that writes.
    pub(crate) fn must_change_password(&self) -> bool {
        match self {
            Self::Nobody | Self::Service(_) => false,
            Self::Session(session) => session.must_change_password,
            Self::Browser(browser) => browser.must_change_password,
        }
    }
}
