//! The rules of the route table about callers.

use http::Method;
use reeve_model::Scope;

/// The callers that may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; a token is not read.
    Anybody,
    /// Anybody; a token is optional, but must be valid.
    Optional,
    /// Accounts and guests.
    Guest,
    /// Accounts.
    User,
    /// Accounts about themselves and what is theirs, and callers that hold the scope about everything; the handler tells the
    /// two apart.
    SelfOr(Scope),
    /// Callers that hold the scope.
    Admin(Scope),
    /// Callers that hold any scope.
    AnyAdmin,
    /// Callers that prove knowledge of the registration shared secret.
    SharedSecret,
    /// A page for everybody: the browser session is known if there is one.
    Page,
    /// A page for people who have signed in.
    SignedIn,
}

/// The states that a route stays open to although they close other routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OpenTo {
    /// Locked accounts.
    pub locked: bool,
    /// Accounts whose validity has expired.
    pub expired_account: bool,
    /// Access tokens that have expired.
    pub expired_token: bool,
    /// Accounts whose person must change the password first. Every GET route is, except for those of administration: see
    /// [`Admission::new`].
    pub password_change: bool,
}

/// The callers that a route lets in.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// The callers that may use it.
    pub access: Access,
    /// The states that it stays open to.
    pub open_to: OpenTo,
    /// Set if suspended accounts may not use it: the error text for them.
    pub suspended: Option<&'static str>,
}

impl Admission {
    /// Admits these callers to a route of this method. An account whose person must change the password first can read, and
    /// nothing else unless the route says so.
    pub(crate) fn new(access: Access, method: &Method) -> Self {
        let administers = matches!(access, Access::Admin(_) | Access::AnyAdmin);
        let password_change = *method == Method::GET && !administers;
        Self { access, open_to: OpenTo { password_change, ..OpenTo::default() }, suspended: None }
    }

    /// Returns true if a request is made with the token of an account, or may be.
    pub fn reads_token(&self) -> bool {
        match self.access {
            Access::Anybody | Access::SharedSecret | Access::Page | Access::SignedIn => false,
            Access::Optional
            | Access::Guest
            | Access::User
            | Access::SelfOr(_)
            | Access::Admin(_)
            | Access::AnyAdmin => true,
        }
    }
}
