//! Registered clients.

use std::collections::BTreeMap;

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::Millis;
use reeve_store::oauth_clients;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Error;
use crate::uri;

/// The interval at which the use of a client is noted, in milliseconds.
const NOTED_EVERY_MS: i64 = 86_400_000;

/// A way to get access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum GrantType {
    /// With the code that a browser brings.
    #[serde(rename = "authorization_code")]
    Code,
    /// With a refresh token.
    #[serde(rename = "refresh_token")]
    Refresh,
    /// With a code that a person types in a browser elsewhere.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    Device,
}

impl GrantType {
    /// All grant types.
    pub(crate) const ALL: [Self; 3] = [Self::Code, Self::Refresh, Self::Device];

    /// Returns its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "authorization_code",
            Self::Refresh => "refresh_token",
            Self::Device => "urn:ietf:params:oauth:grant-type:device_code",
        }
    }

    /// Returns the grant type of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == name)
    }
}

/// The kind of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApplicationType {
    /// A web page.
    Web,
    /// A program on the person's device.
    Native,
}

/// The part of a registration that is kept. The order of the fields decides the client's id.
/// <https://spec.matrix.org/v1.18/client-server-api/#client-metadata>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "client_name": "My App",
    "client_name#fr": "Mon application",
    "client_uri": "https://example.com/",
    "redirect_uris": ["https://app.example.com/callback"],
    "token_endpoint_auth_method": "none",
    "response_types": ["code"],
    "grant_types": ["authorization_code", "refresh_token"],
    "application_type": "web",
}))]
pub struct ClientMetadata {
    /// The name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The web page of the client.
    pub client_uri: String,
    /// The address of its logo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// The address of its terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// The address of its privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// The URIs at which a browser continues.
    pub redirect_uris: Vec<String>,
    /// `none`: clients have no secrets.
    pub token_endpoint_auth_method: String,
    /// `code`.
    pub response_types: Vec<String>,
    /// The ways in which it gets access.
    pub grant_types: Vec<GrantType>,
    /// Its kind.
    pub application_type: ApplicationType,
    /// Names and addresses for languages, such as `client_name#fr`.
    #[serde(flatten)]
    pub localized: BTreeMap<String, String>,
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub client_id: String,
    /// The part of its registration that was kept.
    pub metadata: ClientMetadata,
    /// The time at which it was last noted that it is used.
    last_used_ts: Millis,
}

impl Client {
    /// Returns a client; [`Error::UnknownClient`] if there is none.
    pub(crate) fn find(tx: &ReadTx<'_>, client_id: &str) -> Result<Self, Error> {
        let row = oauth_clients::find(tx, client_id)?.ok_or(Error::UnknownClient)?;
        let metadata = serde_json::from_str(&row.metadata).map_err(|error| {
            DbError::Internal(format!("the metadata of the client {client_id} cannot be read: {error}"))
        })?;
        Ok(Self { client_id: client_id.to_owned(), metadata, last_used_ts: row.last_used_ts })
    }

    /// Returns a client that may get access in a way.
    pub(crate) fn find_for(tx: &ReadTx<'_>, client_id: &str, grant: GrantType) -> Result<Self, Error> {
        let client = Self::find(tx, client_id)?;
        if client.metadata.grant_types.contains(&grant) { Ok(client) } else { Err(Error::Unregistered) }
    }

    /// Notes that the client is used, if that was not noted lately.
    pub(crate) fn touch(&self, tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
        if now.since(self.last_used_ts) >= NOTED_EVERY_MS {
            oauth_clients::touch(tx, &self.client_id, now)?;
        }
        Ok(())
    }

    /// Returns true if a redirect URI is registered.
    pub(crate) fn redirects_to(&self, redirect_uri: &str) -> bool {
        self.metadata.redirect_uris.iter().any(|registered| uri::matches(registered, redirect_uri))
    }

    /// Returns the host of its web page, which is all that a person can check.
    pub fn host(&self) -> String {
        uri::host(&self.metadata.client_uri).unwrap_or_default()
    }

    /// Returns its name in a language such as `de`; the host if it has no name.
    pub fn name(&self, language: &str) -> String {
        self.text("client_name", language, self.metadata.client_name.as_ref()).unwrap_or_else(|| self.host())
    }

    /// Returns the address of its terms of service, in a language if it has them in that.
    pub fn terms(&self, language: &str) -> Option<String> {
        self.text("tos_uri", language, self.metadata.tos_uri.as_ref())
    }

    /// Returns the address of its privacy policy, in a language if it has it in that.
    pub fn policy(&self, language: &str) -> Option<String> {
        self.text("policy_uri", language, self.metadata.policy_uri.as_ref())
    }

    fn text(&self, key: &str, language: &str, usual: Option<&String>) -> Option<String> {
        self.metadata.localized.get(&format!("{key}#{language}")).or(usual).cloned()
    }
}
