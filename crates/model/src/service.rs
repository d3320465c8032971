//! Service tokens: credentials of administration that belong to no account, as a request presents them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ctx::Actor;
use crate::num::{Millis, ServiceTokenNum};
use crate::scopes::Scopes;

/// The beginning of every secret of a service token. No other token begins with it.
pub const PREFIX: &str = "rvs_";

/// A network of client addresses. As text, a single address or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// A text is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl Network {
    /// Returns true if an address is in the network.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }

    /// Returns the first and the last address of the network.
    pub fn bounds(&self) -> (IpAddr, IpAddr) {
        (self.0.network(), self.0.broadcast())
    }

    /// Returns true if all addresses of another network are in the network.
    pub fn includes(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| ip.to_canonical().into()));
        network.map(|network: IpNet| Self(network.trunc())).map_err(|_| NotANetwork)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|NotANetwork| {
            de::Error::custom(format_args!("'{text}' is neither an address nor a network"))
        })
    }
}

/// A service token, read from the database for one request.
#[derive(Clone, Debug)]
pub struct Service {
    /// The number of the token.
    pub num: ServiceTokenNum,
    /// Its name, which the audit log shows.
    pub name: Arc<str>,
    /// The scopes that it holds.
    pub scopes: Scopes,
    /// The networks from which it can be used; none for anywhere.
    pub networks: Vec<Network>,
    /// The time at which the token itself expires.
    pub expires_ts: Option<Millis>,
    /// The time at which the presented secret ends, since a newer one replaced it.
    pub secret_until_ts: Option<Millis>,
}

impl Service {
    /// Returns true if the token and the presented secret can be used at a time.
    pub fn is_valid(&self, now: Millis) -> bool {
        [self.expires_ts, self.secret_until_ts].into_iter().flatten().all(|until| now < until)
    }

    /// Returns true if it can be used from an address.
    pub fn admits(&self, ip: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(ip))
    }

    /// Returns the actor for the audit log.
    pub fn actor(&self) -> Actor {
        Actor::Service(Arc::clone(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3"),
            ("::1", "::1"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
        ] {
            assert_eq!(text.parse::<Network>().map(|network| network.to_string()), Ok(shown.to_owned()));
        }
        for wrong in ["", "10", "10.0.0.0/33", "10.0.0.0/", "example.org", " 10.0.0.1"] {
            assert_eq!(wrong.parse::<Network>(), Err(NotANetwork), "{wrong}");
        }
        let network: Network = "10.0.0.0/8".parse().unwrap();
        assert!(network.contains("10.255.0.1".parse().unwrap()));
        assert!(network.contains("::ffff:10.255.0.1".parse().unwrap()));
        assert!(!network.contains("11.0.0.1".parse().unwrap()));
        assert!(network.includes(&network) && network.includes(&"10.1.0.0/16".parse().unwrap()));
        assert!(
            !network.includes(&"8.0.0.0/7".parse().unwrap()) && !network.includes(&"::/0".parse().unwrap())
        );
    }
}
