//! The settings: keys, sources and errors.
//!
//! Later sources win: the defaults, the settings file, the environment, the command line. This module does not
//! read the environment of the process; it is passed to [`load`].

mod check;
mod describe;
mod filter;
mod keys;
mod layers;
mod print;
mod synapse;
mod values;

use std::{ffi::OsString, fmt, fs, path::PathBuf};

use figment::{
    Figment,
    error::{Actual, Kind as ErrorKind},
};
use toml::Value;

use self::{
    describe::{Entry, Kind, Setting as _},
    layers::Layer,
};
pub use self::{
    filter::log_filter,
    keys::{
        Account, AccountValidity, Email, Http, Limits, Log, Media, MediaBucket, Outgoing, Password,
        PasswordPolicy, Presence, Push, RateLimit, RateLimits, Registration, ServerNotices, Settings,
        Support, Tokens, UrlPreviews, UserDirectory, Voip,
    },
    print::{example, markdown},
    values::{BaseUrl, Database, EmailTls, Listen, LogFormat, Networks, Secret},
};

/// The settings file that is read by default, if it exists.
const DEFAULT_FILE: &str = "reeve.toml";

const DEFAULTS: &str = "defaults";
const FILE: &str = "file";
const ENVIRONMENT: &str = "environment";
const FLAGS: &str = "flags";
const SECRET_FILES: &str = "secret files";

/// Settings from the command line, which win over all other sources.
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

/// Effective settings with their sources.
#[derive(Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    found: Found,
}

/// The sources of the values.
#[derive(Clone)]
struct Found {
    /// The settings file that was read.
    file: Option<PathBuf>,
    places: Figment,
}

/// Errors in the settings: lines that each name a key and its source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(Vec<String>);

impl SettingsError {
    fn new(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }

    /// The lines.
    pub fn into_lines(self) -> Vec<String> {
        self.0
    }
}

/// Loads the settings from the file, the environment and the command line, and checks them. All errors are
/// reported at once.
///
/// `environment` is the whole environment of the process; only variables that start with `REEVE_` are read.
pub fn load(
    flags: &Flags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, SettingsError> {
    let environment: Vec<_> = environment.into_iter().collect();
    let known = entries(&Settings::default());
    let mut problems = Vec::new();

    let named_file = flags.config.clone().or_else(|| {
        let variable =
            environment.iter().find(|(name, text)| name == layers::FILE_VARIABLE && !text.is_empty());
        variable.map(|(_, path)| PathBuf::from(path))
    });
    let path = named_file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let table = layers::read_file(&path, &known, &mut problems)?;
    if table.is_none() && named_file.is_some() {
        return Err(SettingsError::new(format!("the settings file {} does not exist", path.display())));
    }
    let file = table.is_some().then_some(path);

    let mut layers = vec![
        Layer { name: FILE, table: table.unwrap_or_default() },
        Layer { name: ENVIRONMENT, table: layers::read_environment(environment, &known, &mut problems) },
        Layer { name: FLAGS, table: flags.table() },
    ];
    let mut wrong = Vec::new();
    let secrets = read_secret_files(&known, &layers, &mut wrong);
    layers.push(Layer { name: SECRET_FILES, table: secrets });
    let mut found = Found { file, places: merge(&known, &layers) };
    problems.extend(wrong.iter().map(|(key, problem)| found.line(key, problem)));

    let settings = loop {
        match found.places.extract::<Settings>() {
            Ok(settings) => break settings,
            Err(error) => {
                let (key, problem) = explain(&error, &known);
                problems.push(found.line(&key, &problem));
                // The default is used instead, so that further errors are found, too.
                let taken_out = layers.iter_mut().filter_map(|layer| layers::remove(&mut layer.table, &key));
                if taken_out.count() == 0 {
                    return Err(SettingsError(problems));
                }
                wrong.push((key, problem));
                found.places = merge(&known, &layers);
            }
        }
    };
    for (key, problem) in check::check(&settings) {
        if wrong.iter().all(|(wrong, _)| *wrong != key) {
            problems.push(found.line(&key, &problem));
        }
    }
    if problems.is_empty() { Ok(Loaded { settings, found }) } else { Err(SettingsError(problems)) }
}

/// The defaults, overridden by these layers.
fn merge(known: &[Entry], layers: &[Layer]) -> Figment {
    let defaults = Figment::new().merge(Layer { name: DEFAULTS, table: layers::table_of(known) });
    layers.iter().fold(defaults, |figment, layer| figment.merge(layer.clone()))
}

/// Reads secrets from files: `password.pepper` from the one that `password.pepper_path` names. As everywhere,
/// the later source wins. Errors are added to `wrong`, with the key.
fn read_secret_files(known: &[Entry], layers: &[Layer], wrong: &mut Vec<(String, String)>) -> toml::Table {
    let set_in = |key: &str| layers.iter().rposition(|layer| layers::get(&layer.table, key).is_some());
    let mut secrets = toml::Table::new();
    for Entry { key, .. } in known.iter().filter(|entry| entry.kind == Kind::Secret) {
        let path_key = format!("{key}_path");
        // A value of another type is refused with the types of all keys.
        let path = layers.iter().rev().find_map(|layer| layers::get(&layer.table, &path_key));
        let Some(path) = path.and_then(Value::as_str).filter(|_| set_in(key) <= set_in(&path_key)) else {
            continue;
        };
        let problem = match fs::read_to_string(path) {
            _ if set_in(key) == set_in(&path_key) => format!("{key} is set as well; set one of the two"),
            Ok(text) if !text.trim().is_empty() => {
                layers::insert(&mut secrets, key, Value::String(text.trim().to_owned()));
                continue;
            }
            Ok(_) => format!("{path} is empty"),
            Err(error) => format!("cannot read {path}: {error}"),
        };
        wrong.push((path_key, problem));
    }
    secrets
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The layers contain the raw values, including secrets.
        f.debug_struct("Loaded").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Loaded {
    /// The source of the value of `key`.
    fn place(&self, key: &str) -> Place {
        self.found.place(key)
    }

    /// The files that secrets were read from.
    pub fn files_with_secrets(&self) -> Vec<PathBuf> {
        let secrets = entries(&self.settings).into_iter().filter(|entry| entry.masked.is_some());
        let mut files: Vec<PathBuf> = secrets
            .filter_map(|entry| match self.place(&entry.key) {
                Place::File(path) => Some(path),
                Place::Default | Place::Environment(_) | Place::Flag(_) => None,
            })
            .collect();
        files.dedup();
        files
    }

    /// The keys whose values differ in other settings.
    pub fn changed(&self, others: &Settings) -> Vec<String> {
        let (ours, theirs) = (entries(&self.settings), entries(others));
        let pairs = ours.into_iter().zip(theirs);
        pairs.filter(|(ours, theirs)| ours.value != theirs.value).map(|(ours, _)| ours.key).collect()
    }
}

impl Found {
    /// The error line for a problem with a key.
    fn line(&self, key: &str, problem: &str) -> String {
        format!("{key}: {problem}{}", self.place(key).suffix())
    }

    /// The source of the value of `key`.
    fn place(&self, key: &str) -> Place {
        let layer = self.places.find_metadata(key).map(|metadata| metadata.name.as_ref());
        match (layer, &self.file) {
            (Some(FILE), Some(file)) => Place::File(file.clone()),
            (Some(ENVIRONMENT), _) => Place::Environment(layers::variable(key)),
            (Some(FLAGS), _) => Place::Flag(layers::flag(key)),
            (Some(SECRET_FILES), _) => {
                Place::File(self.places.extract_inner(&format!("{key}_path")).unwrap_or_default())
            }
            _ => Place::Default,
        }
    }
}

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl Place {
    /// The source as the end of an error message.
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

/// The key that serde refused, and the error in terms of the settings.
fn explain(error: &figment::Error, known: &[Entry]) -> (String, String) {
    // The path may continue into a list, after the key.
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
    (key.to_owned(), problem)
}

/// The kind of an invalid value; never the value itself, which may be a secret.
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
