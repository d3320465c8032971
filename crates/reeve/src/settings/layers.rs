//! The places settings come from, each read into one table, and the rejection of keys nobody knows.

use std::{ffi::OsString, fs, io, path::Path};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map},
};
use toml::{Table, Value};

use super::{
    SettingsError,
    describe::{Entry, Kind},
};

/// What every environment variable of the program starts with.
const PREFIX: &str = "REEVE_";

/// The environment variable that names the settings file.
pub(super) const FILE_VARIABLE: &str = "REEVE_CONFIG";

/// The settings of one place, as a provider for figment under the name `name`.
pub(super) struct Layer {
    pub(super) name: &'static str,
    pub(super) table: Table,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = figment::value::Value::serialize(&self.table)?.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

/// The environment variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The command-line option that sets `key`, for the keys that have one.
pub(super) fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// The present value of every key that is set, below all the sections there are.
pub(super) fn table_of(entries: &[Entry]) -> Table {
    let mut table = Table::new();
    for entry in entries {
        match (&entry.value, entry.kind) {
            (Some(value), _) => insert(&mut table, &entry.key, value.clone()),
            (None, Kind::Section) if !entry.key.is_empty() => {
                insert(&mut table, &entry.key, Value::Table(Table::new()));
            }
            (None, _) => {}
        }
    }
    table
}

/// Reads a settings file. `Ok(None)` when there is none.
pub(super) fn read_file(path: &Path, known: &[Entry]) -> Result<Option<Table>, SettingsError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SettingsError::new(format!("cannot read {}: {error}", path.display()))),
    };
    let table = text.parse::<Table>().map_err(|error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |head| head.matches('\n').count() + 1);
        SettingsError::new(format!(
            "{}, line {line}: {}",
            path.display(),
            error.message().replace('\n', ", ")
        ))
    })?;
    check_keys(&table, "", known, &format!("in {}", path.display()))?;
    Ok(Some(table))
}

/// Refuses keys that are not among the known ones.
fn check_keys(table: &Table, prefix: &str, known: &[Entry], place: &str) -> Result<(), SettingsError> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (known.iter().find(|entry| entry.key == key), value) {
            (Some(Entry { kind: Kind::Section, .. }), Value::Table(inner)) => {
                check_keys(inner, &key, known, place)?;
            }
            (Some(Entry { kind: Kind::Section, .. }), _) => {
                return Err(SettingsError::new(format!("{key}: expected a table ({place})")));
            }
            (Some(_), _) => {}
            (None, _) => {
                let key = first_leaf(key, value);
                let nearest = nearest(&key, known);
                return Err(SettingsError::new(format!(
                    "unknown setting {key} ({place}); the nearest is {nearest}"
                )));
            }
        }
    }
    Ok(())
}

/// The first full key at or below `key`.
fn first_leaf(key: String, value: &Value) -> String {
    match value.as_table().and_then(|table| table.iter().next()) {
        Some((name, inner)) => first_leaf(format!("{key}.{name}"), inner),
        None => key,
    }
}

/// The known key most like `key`: by the whole text, or by the last part, for keys put in the wrong section.
fn nearest<'a>(key: &str, known: &'a [Entry]) -> &'a str {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |candidate: &str| {
        let whole = strsim::damerau_levenshtein(key, candidate);
        // A key in the wrong section has its own name right, but for a slip.
        match strsim::damerau_levenshtein(&last(key), &last(candidate)) {
            slip @ 0..=1 => whole.min(slip + 1),
            _ => whole,
        }
    };
    known
        .iter()
        .filter(|entry| entry.kind != Kind::Section)
        .map(|entry| entry.key.as_str())
        .min_by_key(|candidate| distance(candidate))
        .unwrap_or_default()
}

/// Reads the environment. Variables without the prefix do not count, empty ones count as not set.
pub(super) fn read_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    known: &[Entry],
) -> Result<Table, SettingsError> {
    let mut table = Table::new();
    for (name, text) in environment {
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if text.is_empty() || key == "CONFIG" || key.starts_with("TEST_") || is_service_link(key, &text) {
            continue;
        }
        let key = key.to_lowercase().replace("__", ".");
        let Some(entry) = known.iter().find(|entry| entry.key == key && entry.kind != Kind::Section) else {
            let nearest = nearest(&key, known);
            return Err(SettingsError::new(format!(
                "unknown environment variable {}: there is no setting {key}; the nearest is {} ({nearest})",
                name.display(),
                variable(nearest),
            )));
        };
        let text = text.into_string().map_err(|_| {
            SettingsError::new(format!("{key}: not valid UTF-8 (environment variable {})", name.display()))
        })?;
        insert(&mut table, &key, parse(&text, entry.kind));
    }
    Ok(table)
}

/// Whether a variable was set by Kubernetes for a service called `reeve`, not by a person.
fn is_service_link(key: &str, text: &std::ffi::OsStr) -> bool {
    let is_url = text.to_str().is_some_and(|text| text.starts_with("tcp://") || text.starts_with("udp://"));
    key.starts_with("SERVICE_") || key.starts_with("PORT_") || (key == "PORT" && is_url)
}

/// A value from its text. What cannot be parsed stays text, and is refused with the types of all places.
fn parse(text: &str, kind: Kind) -> Value {
    let as_text = || Value::String(text.to_owned());
    match kind {
        Kind::Section | Kind::Text => as_text(),
        Kind::Boolean => text.parse().map_or_else(|_| as_text(), Value::Boolean),
        Kind::Integer => text.parse().map_or_else(|_| as_text(), Value::Integer),
        Kind::Number => text.parse().map_or_else(|_| as_text(), Value::Float),
        Kind::List => text.parse::<Value>().ok().filter(Value::is_array).unwrap_or_else(|| {
            Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())
        }),
    }
}

/// Puts a value under a dotted key.
pub(super) fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
