//! Settings of the HTTP side.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use ipnet::IpNet;

/// Settings of the HTTP side.
#[derive(Clone, Debug)]
pub struct Settings {
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
    /// True if browsers reach the server with TLS: then its cookies are for TLS alone.
    pub secure_cookies: bool,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 1024 * 1024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(10),
            max_unsent: 256 * 1024 * 1024,
            secure_cookies: true,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Settings {
    /// Returns the address of a client: the peer, or the last address in `X-Forwarded-For` that no trusted proxy
    /// added.
    pub(crate) fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let trusted = |ip: &IpAddr| self.trusted_proxies.iter().any(|net| net.contains(ip));
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
