//! The sources of settings, each read into one table, and the refusal of unknown keys.

use std::{ffi::OsString, fs, io, path::Path};

use toml::{Table, Value};

use super::{
    SettingsError,
    describe::{Entry, Kind},
    synapse,
};

/// The prefix of all environment variables of the program.
const PREFIX: &str = "REEVE_";

/// The environment variable that names the settings file.
pub(super) const FILE_VARIABLE: &str = "REEVE_CONFIG";

/// The environment variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The command-line option that sets `key`, for the keys that have one.
pub(super) fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// Reads a settings file. `Ok(None)` when there is none. Unknown keys are left out and added to `problems`.
pub(super) fn read_file(
    path: &Path,
    known: &[Entry],
    problems: &mut Vec<String>,
) -> Result<Option<Table>, SettingsError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SettingsError::new(format!("cannot read {}: {error}", path.display()))),
    };
    let mut table = text.parse::<Table>().map_err(|error| {
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
    drop_unknown(&mut table, "", known, &format!("in {}", path.display()), problems);
    Ok(Some(table))
}

/// Removes unknown keys from a table, and adds the nearest known ones to `problems`.
fn drop_unknown(table: &mut Table, prefix: &str, known: &[Entry], place: &str, problems: &mut Vec<String>) {
    table.retain(|name, value| {
        // A quoted key with a dot is not the setting that it looks like.
        let name = if name.contains('.') { format!("{name:?}") } else { name.to_owned() };
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match (known.iter().find(|entry| entry.key == key), value) {
            (Some(Entry { kind: Kind::Section, .. }), Value::Table(inner)) => {
                drop_unknown(inner, &key, known, place, problems);
                true
            }
            (Some(Entry { kind: Kind::Section, .. }), _) => {
                problems.push(format!("{key}: expected a table ({place})"));
                false
            }
            (Some(_), _) => true,
            (None, value) => {
                for leaf in leaves(key, value) {
                    let problem = synapse::translation(&leaf).map_or_else(
                        || {
                            let nearest = nearest(&leaf, known);
                            format!("unknown setting {leaf} ({place}); the nearest is {nearest}")
                        },
                        |translation| format!("{translation} ({place})"),
                    );
                    // A setting that is a table in Synapse is reported once.
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
                false
            }
        }
    });
}

/// The full keys at or below `key`.
fn leaves(key: String, value: &Value) -> Vec<String> {
    match value.as_table().filter(|table| !table.is_empty()) {
        Some(table) => {
            table.iter().flat_map(|(name, inner)| leaves(format!("{key}.{name}"), inner)).collect()
        }
        None => vec![key],
    }
}

/// The known key nearest to `key`: by the whole text, or by the last part, for keys in the wrong section.
fn nearest<'a>(key: &str, known: &'a [Entry]) -> &'a str {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |candidate: &str| {
        let whole = strsim::damerau_levenshtein(key, candidate);
        // A key in the wrong section has the right last part, except for a typing error.
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

/// Reads the environment. Variables without the prefix are ignored; empty ones count as not set. Errors are
/// added to `problems`.
pub(super) fn read_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    known: &[Entry],
    problems: &mut Vec<String>,
) -> Table {
    let mut table = Table::new();
    for (name, text) in environment {
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if text.is_empty() || key == "CONFIG" || key.starts_with("TEST_") || is_service_link(key, &text) {
            continue;
        }
        let key = key.to_lowercase().replace("__", ".");
        let name = name.display();
        let Some(entry) = known.iter().find(|entry| entry.key == key && entry.kind != Kind::Section) else {
            problems.push(synapse::translation(&key).map_or_else(
                || {
                    let nearest = nearest(&key, known);
                    format!(
                        "unknown environment variable {name}: there is no setting {key}; the nearest is {} ({nearest})",
                        variable(nearest),
                    )
                },
                |translation| format!("{translation} (environment variable {name})"),
            ));
            continue;
        };
        match text.into_string() {
            Ok(text) => insert(&mut table, &key, parse(&text, entry.kind)),
            Err(_) => problems.push(format!("{key}: not valid UTF-8 (environment variable {name})")),
        }
    }
    table
}

/// True if a variable was set by Kubernetes for a service called `reeve`, not by a person.
fn is_service_link(key: &str, text: &std::ffi::OsStr) -> bool {
    let is_url = text.to_str().is_some_and(|text| text.starts_with("tcp://") || text.starts_with("udp://"));
    key.starts_with("SERVICE_") || key.starts_with("PORT_") || (key == "PORT" && is_url)
}

/// Parses a value from text. Text that cannot be parsed stays text, and is refused with the types of all
/// sources.
fn parse(text: &str, kind: Kind) -> Value {
    let as_text = || Value::String(text.to_owned());
    match kind {
        Kind::Section | Kind::Text | Kind::Secret => as_text(),
        Kind::Boolean => text.parse().map_or_else(|_| as_text(), Value::Boolean),
        Kind::Integer => text.parse().map_or_else(|_| as_text(), Value::Integer),
        Kind::Number => text.parse().map_or_else(|_| as_text(), Value::Float),
        Kind::List => text.parse::<Value>().ok().filter(Value::is_array).unwrap_or_else(|| {
            Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())
        }),
    }
}

/// Inserts a value under a dotted key.
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
