//! The operator's settings for signing in with OAuth 2.0.

/// The settings for signing in with OAuth 2.0.
#[derive(Clone, Debug)]
pub struct OAuthSettings {
    /// The URL at which clients and browsers reach this server, without a slash at the end.
    pub base_url: String,
    /// The time after which a client that nobody uses is deleted, in milliseconds.
    pub unused_clients_ms: i64,
}

impl OAuthSettings {
    /// Returns the identifier of this server as an authorisation server (RFC 8414, 2).
    pub fn issuer(&self) -> String {
        self.url("/")
    }

    /// Returns the URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}
