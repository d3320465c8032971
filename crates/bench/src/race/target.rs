//! The servers that are measured.

use std::net::{SocketAddr, SocketAddrV4};
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::process::{Taken, Watched};
use crate::Fallible;
use crate::http::Connection;

/// Timeout of a request.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// A server as it is given on the command line: `NAME=URL,TOKEN`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aim {
    pub(super) name: String,
    address: SocketAddrV4,
    token: String,
}

impl FromStr for Aim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('=').ok_or("it is NAME=URL,TOKEN")?;
        let (url, token) = rest.split_once(',').ok_or("there is no token behind the URL: NAME=URL,TOKEN")?;
        let address = url.strip_prefix("http://").ok_or("the URL begins with http://, without TLS")?;
        let address = address.trim_end_matches('/').parse();
        let address = address.map_err(|_| "the URL is http://ADDRESS:PORT, with an IPv4 address")?;
        Ok(Self { name: name.to_owned(), address, token: token.to_owned() })
    }
}

/// A server that is measured.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// The token of an administrator.
    pub(super) token: String,
    pub(super) version: Option<String>,
    watched: Option<Watched>,
}

impl Target {
    /// `also` is the name of programs whose processes count, too.
    pub(super) async fn find(aim: &Aim, also: Option<String>) -> Fallible<Self> {
        let mut target = Self::unknown(&aim.name, aim.address.into(), &aim.token, also);
        let answer = target.ask("GET", "/_synapse/admin/v1/server_version", None).await?;
        target.version = answer.get("server_version").and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(target)
    }

    pub(super) fn unknown(name: &str, address: SocketAddr, token: &str, also: Option<String>) -> Self {
        let watched = Watched::find(address.port(), also);
        Self { name: name.to_owned(), address, token: token.to_owned(), version: None, watched }
    }

    /// The resources used by its processes, if visible.
    pub(super) fn taken(&self) -> Option<Taken> {
        self.watched.as_ref().map(Watched::taken)
    }

    /// Sends a request as the administrator, over a new connection.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Fallible<Value> {
        self.ask_as(&self.token, method, path, body).await
    }

    /// Sends a request with a token, over a new connection; an error for statuses other than 2xx.
    pub(super) async fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Fallible<Value> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let asked = timeout(PATIENCE, async {
            Connection::open(self.address, token).await?.send(method, path, &body).await?.json()
        });
        let answer = asked.await.map_err(|_| "no answer in time".into()).flatten();
        answer.map_err(|error| format!("{}: {method} {path}: {error}", self.name).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let aim: Aim = "one=http://127.0.0.1:8008/,syt_a=b,c".parse().unwrap();
        let expected = Aim {
            name: "one".to_owned(),
            address: "127.0.0.1:8008".parse().unwrap(),
            token: "syt_a=b,c".to_owned(),
        };
        assert_eq!(aim, expected);
        for text in [
            "http://127.0.0.1:8008,token",
            "one=http://127.0.0.1:8008",
            "one=https://127.0.0.1:8008,token",
            "one=http://[::1]:8008,token",
            "one=http://matrix.example:8008,token",
            "one=http://127.0.0.1,token",
        ] {
            assert!(text.parse::<Aim>().is_err(), "{text}");
        }
    }
}
