//! The state of the server that handlers work with: created once at start, shared by all requests.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reeve_accounts::Policy;
use reeve_accounts::password::Hasher;
use reeve_accounts::seen::Seen;
use reeve_db::Db;
use reeve_jobs::Jobs;
use reeve_media::Library;
use reeve_model::Clock;
use reeve_outgoing::Outgoing;
use reeve_previews::Previews;
use reeve_rooms::Home;
use reeve_sync::Notifier;
use serde::Serialize;
use tokio::sync::watch;

use crate::limits::{Limiter, RateLimits};
use crate::metrics::Metrics;

/// Settings of the HTTP side.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Maximum size of a JSON body, in bytes.
    pub max_body: usize,
    /// The time in which a client must send the head of a request.
    pub header_timeout: Duration,
    /// The time in which a client must send a body.
    pub body_timeout: Duration,
    /// The time for which a client may read nothing of a response.
    pub answer_timeout: Duration,
    /// Maximum number of bytes of responses in memory that clients have not read yet.
    pub max_unsent: usize,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
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

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            max_body: 1024 * 1024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(10),
            max_unsent: 256 * 1024 * 1024,
            trusted_proxies: Vec::new(),
            public_base_url: None,
            support: None,
            turn: None,
        }
    }
}

/// The running server, as handlers use it.
pub struct App {
    /// The name of this homeserver.
    pub server_name: Arc<str>,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The account policy of the operator.
    pub policy: Policy,
    /// The bounded pool of password hashing threads.
    pub hasher: Hasher,
    /// The last-seen tracker.
    pub seen: Seen,
    /// The job runner.
    pub jobs: Jobs,
    /// Uploads.
    pub media: Library,
    /// Rate limits.
    pub limiter: Limiter,
    /// This homeserver, for operations on rooms.
    pub home: Arc<Home>,
    /// The notifier, which wakes waiting requests.
    pub notifier: Arc<Notifier>,
    /// Requests that the server makes.
    pub outgoing: Outgoing,
    /// Previews of web pages, if enabled.
    pub previews: Option<Previews>,
    /// True if the server sends e-mail.
    pub sends_mail: bool,
    /// Settings of the HTTP side.
    pub http: HttpSettings,
    /// The metrics for Prometheus.
    pub metrics: Metrics,
    /// Becomes true when the server stops, so that waiting requests end.
    pub stop: watch::Sender<bool>,
}

impl App {
    /// The current rate limits.
    pub fn rate_limits(&self) -> RateLimits {
        self.limiter.limits()
    }

    /// A signal that the server stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// The address of a client: the peer, or the last address in `X-Forwarded-For` that no trusted proxy added.
    pub fn client_ip(&self, peer: IpAddr, headers: &http::HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let trusted = |ip: &IpAddr| self.http.trusted_proxies.iter().any(|net| net.contains(ip));
        if !trusted(&peer) {
            return peer;
        }
        let mut client = peer;
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
        for hop in hops.iter().rev() {
            let Ok(ip) = hop.parse::<IpAddr>() else { break };
            client = ip.to_canonical();
            if !trusted(&client) {
                break;
            }
        }
        client
    }
}
