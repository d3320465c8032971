//! The settings: what can be set, where it comes from, and what is said when it is wrong.
//!
//! Later places win: the defaults, the settings file, the environment, the command line. Nothing here
//! reads the environment of the process by itself; [`load`] is given it.

mod check;
mod describe;
mod keys;
mod layers;
mod print;
mod values;

use std::{
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    error::{Actual, Kind as ErrorKind},
};
use toml::Value;

use self::{
    describe::{Entry, Setting as _},
    layers::Layer,
};
pub use self::{
    keys::{
        Account, AccountValidity, Email, Http, Limits, Log, Media, MediaBucket, Outgoing, Password, Presence,
        Push, RateLimit, RateLimits, Registration, ServerNotices, Settings, Tokens, UrlPreviews,
        UserDirectory,
    },
    print::markdown,
    values::{BaseUrl, Database, EmailTls, Listen, LogFormat, Networks, Secret},
};

/// The file that is read, if it exists, when none is named.
const DEFAULT_FILE: &str = "reeve.toml";

const DEFAULTS: &str = "defaults";
const FILE: &str = "file";
const ENVIRONMENT: &str = "environment";
const FLAGS: &str = "flags";

const SECRET: &str = "registration.shared_secret";
const SECRET_PATH: &str = "registration.shared_secret_path";

/// Settings from the command line, which win over every other place.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: the settings file.
    pub config: Option<PathBuf>,
    /// `--server-name`.
    pub server_name: Option<String>,
    /// `--listen`, once for every address.
    pub listen: Vec<String>,
    /// `--data-dir`.
    pub data_dir: Option<String>,
    /// `--database`.
    pub database: Option<String>,
}

impl Flags {
    fn table(&self) -> toml::Table {
        let text =
            |key: &str, text: &Option<String>| text.clone().map(|text| (key.to_owned(), Value::String(text)));
        let listen = Value::Array(self.listen.iter().cloned().map(Value::String).collect());
        [
            text("server_name", &self.server_name),
            (!self.listen.is_empty()).then(|| ("listen".to_owned(), listen)),
            text("data_dir", &self.data_dir),
            text("database", &self.database),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Effective settings together with the places they come from.
#[derive(Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The settings file that was read.
    pub file: Option<PathBuf>,
    places: Figment,
}

/// What is wrong with the settings, in one line that names the key and its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl SettingsError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Loads the settings from the file, the environment and the command line, and checks them.
///
/// `environment` is the whole environment of the process; only variables that start with `REEVE_` count.
pub fn load(
    flags: &Flags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, SettingsError> {
    let environment: Vec<_> = environment.into_iter().collect();
    let known = entries(&Settings::default());

    let named_file = flags.config.clone().or_else(|| {
        let variable =
            environment.iter().find(|(name, text)| name == layers::FILE_VARIABLE && !text.is_empty());
        variable.map(|(_, path)| PathBuf::from(path))
    });
    let path = named_file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let table = layers::read_file(&path, &known)?;
    if table.is_none() && named_file.is_some() {
        return Err(SettingsError::new(format!("the settings file {} does not exist", path.display())));
    }
    let file = table.is_some().then_some(path);

    let places = Figment::new()
        .merge(Layer { name: DEFAULTS, table: layers::table_of(&known) })
        .merge(Layer { name: FILE, table: table.unwrap_or_default() })
        .merge(Layer { name: ENVIRONMENT, table: layers::read_environment(environment, &known)? })
        .merge(Layer { name: FLAGS, table: flags.table() });
    let settings = places.extract().map_err(|error| explain(&error, &known, &places, file.as_deref()))?;
    let mut loaded = Loaded { settings, file, places };

    check::check(&loaded.settings).map_err(|(key, problem)| loaded.problem(&key, &problem))?;
    loaded.read_secret_file()?;
    Ok(loaded)
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `places` holds the raw values, secrets among them.
        f.debug_struct("Loaded")
            .field("settings", &self.settings)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Loaded {
    /// Reads `registration.shared_secret` from its file, if it is to come from one.
    fn read_secret_file(&mut self) -> Result<(), SettingsError> {
        let key = SECRET_PATH;
        let registration = &self.settings.registration;
        let Some(path) = &registration.shared_secret_path else { return Ok(()) };
        if registration.shared_secret.is_some() {
            return Err(self.problem(key, "registration.shared_secret is set as well; set one of the two"));
        }
        let secret = match fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => Secret::new(text.trim()),
            Ok(_) => return Err(self.problem(key, &format!("{} is empty", path.display()))),
            Err(error) => return Err(self.problem(key, &format!("cannot read {}: {error}", path.display()))),
        };
        self.settings.registration.shared_secret = Some(secret);
        Ok(())
    }

    fn problem(&self, key: &str, problem: &str) -> SettingsError {
        let place = place(&self.places, self.file.as_deref(), key);
        SettingsError::new(format!("{key}: {problem}{}", place.suffix()))
    }

    /// Where the value of `key` comes from.
    fn place(&self, key: &str) -> Place {
        let secret_path = self.settings.registration.shared_secret_path.as_ref();
        if let (SECRET, Some(path)) = (key, secret_path) {
            return Place::File(path.clone());
        }
        place(&self.places, self.file.as_deref(), key)
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl Place {
    /// The place as the end of an error message.
    fn suffix(&self) -> String {
        match self {
            Self::Default => String::new(),
            Self::File(path) => format!(" (in {})", path.display()),
            Self::Environment(variable) => format!(" (environment variable {variable})"),
            Self::Flag(flag) => format!(" ({flag})"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "from {}", path.display()),
            Self::Environment(name) | Self::Flag(name) => write!(f, "from {name}"),
        }
    }
}

fn place(places: &Figment, file: Option<&Path>, key: &str) -> Place {
    let layer = places.find_metadata(key).map(|metadata| metadata.name.as_ref());
    match (layer, file) {
        (Some(FILE), Some(file)) => Place::File(file.to_owned()),
        (Some(ENVIRONMENT), _) => Place::Environment(layers::variable(key)),
        (Some(FLAGS), _) => Place::Flag(layers::flag(key)),
        _ => Place::Default,
    }
}

/// Says in the words of the settings what serde found wrong.
fn explain(error: &figment::Error, known: &[Entry], places: &Figment, file: Option<&Path>) -> SettingsError {
    // The path may go on into a list, behind the key.
    let path = error.path.join(".");
    let is_at = |entry: &&Entry| path == entry.key || path.starts_with(&format!("{}.", entry.key));
    let entry =
        known.iter().filter(|entry| !entry.key.is_empty()).filter(is_at).max_by_key(|entry| entry.key.len());
    let (key, expected) = match entry {
        Some(entry) => (entry.key.as_str(), entry.kind.name()),
        None => (path.as_str(), "something else"),
    };
    let problem = match &error.kind {
        ErrorKind::Message(message) => message.clone(),
        ErrorKind::InvalidType(found, _) => format!("expected {expected}, found {}", kind_of(found)),
        ErrorKind::InvalidValue(Actual::Signed(number), _) => format!("{number} is out of range"),
        ErrorKind::InvalidValue(Actual::Unsigned(number), _) => format!("{number} is out of range"),
        other => other.to_string(),
    };
    SettingsError::new(format!("{key}: {problem}{}", place(places, file, key).suffix()))
}

/// What was found where something else belongs; never the thing itself, which may be a secret.
fn kind_of(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "a text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}

fn entries(settings: &Settings) -> Vec<Entry> {
    let mut entries = Vec::new();
    settings.describe(String::new(), &[], &mut entries);
    entries
}

#[cfg(test)]
mod tests;
