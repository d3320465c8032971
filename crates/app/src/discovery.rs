//! Addresses that clients are told: of this server, of its operators, and of servers for calls.

use serde::Serialize;

/// The addresses that clients are told.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The URL at which clients reach this server, if it is set.
    pub public_base_url: Option<String>,
    /// The support contacts, if any are set.
    pub support: Option<Support>,
    /// The TURN servers for calls, if there are any.
    pub turn: Option<Turn>,
}

/// Support contacts, in the form of `/.well-known/matrix/support`.
/// <https://spec.matrix.org/v1.18/client-server-api/#getwell-knownmatrixsupport>
#[derive(Clone, Debug, Serialize)]
pub struct Support {
    /// The contacts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Contact>,
    /// The URL of a page with help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_page: Option<String>,
}

/// A support contact.
#[derive(Clone, Debug, Serialize)]
pub struct Contact {
    /// The role: `m.role.admin` or `m.role.security`.
    pub role: &'static str,
    /// The Matrix user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix_id: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
}

/// TURN servers for calls, and their credentials.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Their URIs.
    pub uris: Vec<String>,
    /// The credentials of clients.
    pub credentials: TurnCredentials,
    /// The lifetime of the credentials, in milliseconds.
    pub lifetime_ms: i64,
    /// True if guests get credentials.
    pub guests: bool,
}

/// Credentials for TURN servers.
#[derive(Clone, Debug)]
pub enum TurnCredentials {
    /// A user name and a password made from a secret that the TURN servers know.
    Secret(String),
    /// The same user name and password for everybody.
    Fixed {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
}
