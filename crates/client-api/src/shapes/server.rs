//! The server itself: versions, capabilities, keys and contacts.

use std::collections::BTreeMap;

use reeve_app::shape::AnyObject;
use utoipa::ToSchema;

/// The versions and features of the server.
#[derive(ToSchema)]
pub(crate) struct Versions {
    versions: Vec<String>,
    unstable_features: BTreeMap<String, bool>,
}

/// The URLs of the server.
#[derive(ToSchema)]
pub(crate) struct WellKnown {
    #[schema(rename = "m.homeserver")]
    homeserver: BaseUrl,
}

/// A URL.
#[derive(ToSchema)]
pub(crate) struct BaseUrl {
    base_url: String,
}

/// The identifier of the OAuth 2.0 server.
#[derive(ToSchema)]
pub(crate) struct AuthIssuer {
    issuer: String,
}

/// The capabilities of the server.
#[derive(ToSchema)]
pub(crate) struct Capabilities {
    capabilities: AnyObject,
}

/// The name and keys of the server, signed.
#[derive(ToSchema)]
pub(crate) struct ServerKeys {
    server_name: String,
    verify_keys: BTreeMap<String, VerifyKey>,
    old_verify_keys: AnyObject,
    valid_until_ts: i64,
    signatures: BTreeMap<String, BTreeMap<String, String>>,
}

/// A public key.
#[derive(ToSchema)]
pub(crate) struct VerifyKey {
    key: String,
}

/// TURN servers for calls; an empty object if there are none.
#[derive(ToSchema)]
pub(crate) struct TurnServer {
    username: Option<String>,
    password: Option<String>,
    uris: Option<Vec<String>>,
    /// In seconds.
    ttl: Option<i64>,
}

/// The contacts of the server.
#[derive(ToSchema)]
pub(crate) struct Support {
    contacts: Option<Vec<SupportContact>>,
    support_page: Option<String>,
}

/// A contact.
#[derive(ToSchema)]
pub(crate) struct SupportContact {
    role: String,
    matrix_id: Option<String>,
    email_address: Option<String>,
}

/// The rules for passwords.
#[derive(ToSchema)]
pub(crate) struct PasswordPolicy {
    #[schema(rename = "m.minimum_length")]
    minimum_length: i64,
    #[schema(rename = "m.require_digit")]
    require_digit: bool,
    #[schema(rename = "m.require_symbol")]
    require_symbol: bool,
    #[schema(rename = "m.require_lowercase")]
    require_lowercase: bool,
    #[schema(rename = "m.require_uppercase")]
    require_uppercase: bool,
}
