use std::{fmt, path::PathBuf, str::FromStr};

use thiserror::Error;

/// The database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// SQLite, inside this process.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// The address of a database.
///
/// Text forms: `sqlite:PATH`, `sqlite://PATH` or a bare `PATH` for a SQLite file; `postgres://…` or
/// `postgresql://…` for a PostgreSQL server, in the form libpq documents (a Unix socket as
/// `postgres:///name?host=/var/run/postgresql`).
///
/// `Display` and `Debug` never show the password; the `Postgres` variant itself holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// The path of an SQLite file. The file is created if it does not exist; its folder is not.
    Sqlite(PathBuf),
    /// The whole PostgreSQL URL.
    Postgres(String),
}

/// The reason why a text is not the address of a database.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Another scheme than those of [`DatabaseUrl`].
    #[error("unknown database scheme {0:?}: write sqlite:PATH or postgres://…")]
    Scheme(String),
    /// No path after `sqlite:`, or nothing at all.
    #[error("the SQLite path is empty")]
    EmptyPath,
    /// An SQLite name that is not a file. Each connection would see a separate database.
    #[error("the SQLite database must be a file, not {0:?}")]
    NoFile(String),
}

impl DatabaseUrl {
    /// Returns the engine that serves this database.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let path = match text.split_once(':') {
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                return Ok(Self::Postgres(text.to_owned()));
            }
            Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            Some((scheme, _)) if is_scheme(scheme) => return Err(UrlError::Scheme(scheme.to_owned())),
            _ => text,
        };
        if path.is_empty() {
            return Err(UrlError::EmptyPath);
        }
        if path.starts_with(":memory:") || path.starts_with("file:") {
            return Err(UrlError::NoFile(path.to_owned()));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

/// Returns true if RFC 3986 allows a scheme.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&masked(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the URL with `***` for passwords, in the authority or in the query. A password may contain, unescaped,
/// characters that separate the parts of a URL, so too much rather than too little is masked.
fn masked(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    let mut text = scheme.to_owned();
    match rest.rsplit_once('@').map(|(login, place)| (login.split_once(':'), place)) {
        Some((Some((user, _)), place)) => {
            text.push_str(user);
            text.push_str(":***@");
            text.push_str(place);
        }
        _ => text.push_str(rest),
    }
    let mut shown = String::new();
    let mut rest = text.as_str();
    // The key of a client certificate has a password, too: `sslpassword=`.
    while let Some((before, after)) = rest.split_once("password=") {
        shown.push_str(before);
        shown.push_str("password=***");
        rest = after.find('&').and_then(|end| after.get(end..)).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn passwords_are_never_shown() {
        for (url, shown) in [
            ("postgres://u:p@h/d", "postgres://u:***@h/d"),
            ("postgres://u:p?w@h/d?sslmode=require", "postgres://u:***@h/d?sslmode=require"),
            ("postgres://u:p@w@h:5432/d", "postgres://u:***@h:5432/d"),
            ("postgres://h:5432/d?user=u&password=p&x=y", "postgres://h:5432/d?user=u&password=***&x=y"),
            ("postgres://u@h/d?sslpassword=a&password=b", "postgres://u@h/d?sslpassword=***&password=***"),
            ("postgres:///d?host=/run/postgresql", "postgres:///d?host=/run/postgresql"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
