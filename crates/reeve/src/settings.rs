//! The settings: keys, sources and errors.
//!
//! Later sources win: the defaults, the settings file, the environment, the command line. This module does not
//! read the environment of the process; it is passed to [`load`].

mod check;
mod describe;
mod filter;
mod keys;
mod layer;
mod layers;
mod mail;
mod oauth;
mod print;
mod synapse;
mod upkeep;
mod values;

use std::{ffi::OsString, fmt, fs, path::PathBuf};

use toml::Value;

use self::{
    describe::{Entry, Kind, Problem, Setting as _},
    layer::{Layer, Source},
};
pub use self::{
    filter::log_filter,
    keys::{
        Account, AccountValidity, Http, Limits, Log, Media, MediaBucket, Outgoing, Pages, Password,
        PasswordPolicy, Presence, Push, RateLimit, RateLimits, Registration, Rooms, ServerNotices, Settings,
        Support, Tokens, UrlPreviews, UserDirectory, Voip, Webhooks,
    },
    mail::{Email, EmailNotices},
    oauth::OAuth,
    print::{example, markdown},
    upkeep::{Batches, Exports, Retention, RetentionMessages},
    values::{BaseUrl, Database, EmailLanguage, EmailTls, Listen, LogFormat, Networks, Secret},
};

/// The settings file that is read by default, if it exists.
const DEFAULT_FILE: &str = "reeve.toml";

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
    /// The values, the last source last.
    layers: Vec<Layer>,
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
        Layer { source: Source::File, table: table.unwrap_or_default() },
        Layer {
            source: Source::Environment,
            table: layers::read_environment(environment, &known, &mut problems),
        },
        Layer { source: Source::Flags, table: flags.table() },
    ];
    let mut wrong = Vec::new();
    let secrets = read_secret_files(&known, &layers, &mut wrong);
    layers.push(Layer { source: Source::SecretFiles, table: secrets });

    let mut settings = Settings::default();
    settings.read(String::new(), &layers, &mut wrong);
    let found = Found { file, layers };
    let mut contradictions = check::check(&settings);
    contradictions.retain(|found| wrong.iter().all(|wrong| wrong.key != found.key));
    wrong.extend(contradictions);
    problems.extend(wrong.iter().map(|Problem { key, problem }| found.line(key, problem)));
    if problems.is_empty() { Ok(Loaded { settings, found }) } else { Err(SettingsError(problems)) }
}

/// Reads secrets from files: `password.pepper` from the one that `password.pepper_path` names. As everywhere,
/// the later source wins. Errors are added to `wrong`, with the key.
fn read_secret_files(known: &[Entry], layers: &[Layer], wrong: &mut Vec<Problem>) -> toml::Table {
    let set_in = |key: &str| layer::find(layers, key).map(|(source, _)| source);
    let mut secrets = toml::Table::new();
    for Entry { key, .. } in known.iter().filter(|entry| entry.kind == Kind::Secret) {
        let path_key = format!("{key}_path");
        // A value of another type is refused with the types of all keys.
        let path = layer::find(layers, &path_key).and_then(|(_, path)| path.as_str());
        let Some(path) = path.filter(|_| set_in(key) <= set_in(&path_key)) else {
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
        wrong.push(Problem { key: path_key, problem });
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
        match (layer::find(&self.layers, key).map(|(source, _)| source), &self.file) {
            (Some(Source::File), Some(file)) => Place::File(file.clone()),
            (Some(Source::Environment), _) => Place::Environment(layers::variable(key)),
            (Some(Source::Flags), _) => Place::Flag(layers::flag(key)),
            (Some(Source::SecretFiles), _) => {
                let path = layer::find(&self.layers, &format!("{key}_path"));
                Place::File(path.and_then(|(_, path)| path.as_str()).map(PathBuf::from).unwrap_or_default())
            }
            (Some(Source::File) | None, _) => Place::Default,
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

fn entries(settings: &Settings) -> Vec<Entry> {
    let mut entries = Vec::new();
    settings.describe(String::new(), &[], &mut entries);
    entries
}

#[cfg(test)]
mod tests;
