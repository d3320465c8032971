//! The types of single settings: each parses itself from text and returns an error of one sentence.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use ipnet::IpNet;
use reeve_app::{Accent, Inactive, NewGroups};
use reeve_db::DatabaseUrl;
use reeve_model::Language;
use ruma::OwnedServerName;
use toml::Value;
use url::Url;

use super::describe::{Kind, Leaf, text, texts};

/// Shown instead of a secret.
pub(super) const MASK: &str = "********";

/// A text that must not be shown: `Debug` and `Display` mask it, and it cannot be serialised.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Callers keep it out of logs and responses.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True if it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { MASK })
    }
}

impl Leaf for Secret {
    const KIND: Kind = Kind::Secret;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value).map(Self::new)
    }
    fn masked(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| MASK.to_owned())
    }
}

/// The addresses the server listens on; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen(pub Vec<SocketAddr>);

impl Leaf for Listen {
    const KIND: Kind = Kind::List;
    fn value(&self) -> Option<Value> {
        Some(Value::Array(self.0.iter().map(|address| Value::String(address.to_string())).collect()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                format!("expected ADDRESS:PORT such as 127.0.0.1:8008 or [::1]:8008, found {text:?}")
            })
        };
        let addresses = match value {
            Value::String(address) => vec![&**address],
            list => texts(list)?,
        };
        if addresses.is_empty() {
            return Err("expected at least one address".to_owned());
        }
        addresses.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}

/// A set of addresses and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

impl Leaf for Networks {
    const KIND: Kind = Kind::List;
    fn value(&self) -> Option<Value> {
        let show = |network: &IpNet| {
            let whole = network.prefix_len() == network.max_prefix_len();
            Value::String(if whole { network.addr().to_string() } else { network.to_string() })
        };
        Some(Value::Array(self.0.iter().map(show).collect()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        let parse = |text: &str| {
            text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                format!("expected an address or network such as 127.0.0.1 or 10.0.0.0/8, found {text:?}")
            })
        };
        texts(value)?.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}

/// An `http` or `https` URL without query, fragment, credentials or trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The URL as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| {
            format!("expected a URL such as https://matrix.example.org, found {text:?} ({error})")
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("expected an http or https URL, found {text:?}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("expected a URL without a user name or password in it".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("expected a URL without '?' and '#', found {text:?}"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// The address of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// The path of an SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, which may contain a password.
    Postgres(Secret),
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(DatabaseUrl::Sqlite(path)) => Ok(Self::Sqlite(path)),
            Ok(DatabaseUrl::Postgres(url)) => Ok(Self::Postgres(Secret::new(url))),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Leaf for Database {
    const KIND: Kind = Kind::Secret;
    fn value(&self) -> Option<Value> {
        Some(Value::String(match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) => url.expose().to_owned(),
        }))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value)?.parse()
    }
    fn masked(&self) -> Option<String> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(url) => {
                let shown = DatabaseUrl::Postgres(url.expose().to_owned()).to_string();
                Some(shown).filter(|shown| shown != url.expose())
            }
        }
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: one readable line, coloured on a terminal.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("expected \"text\" or \"json\", found {text:?}")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// The encryption of the connection to the mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailTls {
    /// TLS from the beginning.
    Tls,
    /// STARTTLS.
    StartTls,
    /// No encryption.
    None,
}

impl FromStr for EmailTls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tls" => Ok(Self::Tls),
            "starttls" => Ok(Self::StartTls),
            "none" => Ok(Self::None),
            _ => Err(format!("expected \"tls\", \"starttls\" or \"none\", found {text:?}")),
        }
    }
}

impl fmt::Display for EmailTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
            Self::None => "none",
        })
    }
}

impl Leaf for EmailTls {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value)?.parse()
    }
}

/// The language of mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmailLanguage(pub Language);

impl Leaf for EmailLanguage {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        let text = text(Self::KIND, value)?;
        text.parse().map(Self).map_err(|_| format!("expected \"en\" or \"de\", found {text:?}"))
    }
}

/// The state of an account that becomes inactive by SCIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScimInactive(pub Inactive);

impl Leaf for ScimInactive {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        let word = match self.0 {
            Inactive::Lock => "lock",
            Inactive::Deactivate => "deactivate",
        };
        Some(Value::String(word.to_owned()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        match text(Self::KIND, value)? {
            "lock" => Ok(Self(Inactive::Lock)),
            "deactivate" => Ok(Self(Inactive::Deactivate)),
            other => Err(format!("expected \"lock\" or \"deactivate\", found {other:?}")),
        }
    }
}

/// The kind of room of a new group of SCIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScimGroups(pub NewGroups);

impl Leaf for ScimGroups {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        let word = match self.0 {
            NewGroups::Space => "space",
            NewGroups::Room => "room",
        };
        Some(Value::String(word.to_owned()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        match text(Self::KIND, value)? {
            "space" => Ok(Self(NewGroups::Space)),
            "room" => Ok(Self(NewGroups::Room)),
            other => Err(format!("expected \"space\" or \"room\", found {other:?}")),
        }
    }
}

/// The colour of buttons on pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageAccent(pub Accent);

impl Leaf for PageAccent {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value)?.parse().map(Self)
    }
}

impl Leaf for BaseUrl {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value)?.parse()
    }
}

impl Leaf for LogFormat {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value)?.parse()
    }
}

impl Leaf for OwnedServerName {
    const KIND: Kind = Kind::Text;
    fn value(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
    fn read(value: &Value) -> Result<Self, String> {
        text(Self::KIND, value)?.try_into().map_err(|error: ruma::IdParseError| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "******** ********");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn base_urls() {
        assert_eq!("https://m.example.org/".parse::<BaseUrl>().unwrap().as_str(), "https://m.example.org");
        assert_eq!("http://h:8008/a/".parse::<BaseUrl>().unwrap().as_str(), "http://h:8008/a");
        for wrong in
            ["", "m.example.org", "ftp://h", "https://u:p@h", "https://h/?a", "https://h/#a", "https://"]
        {
            assert!(wrong.parse::<BaseUrl>().is_err(), "{wrong}");
        }
    }
}
