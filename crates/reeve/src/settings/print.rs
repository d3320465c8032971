//! The settings as a commented file, and as a page of documentation.

use std::fmt::Write as _;

use toml::Value;

use super::{
    Loaded, Settings,
    describe::{Entry, Kind},
    entries,
    layers::{flag, variable},
};

/// The keys that have an option on the command line.
const WITH_FLAG: [&str; 4] = ["server_name", "listen", "data_dir", "database"];

impl Loaded {
    /// The effective settings as a settings file: each with its documentation and the source of its value.
    /// Values that contain a secret are masked, in a comment.
    pub fn to_toml(&self) -> String {
        let mut out = format!("# Settings of Reeve {}.\n", env!("CARGO_PKG_VERSION"));
        for entry in entries(&self.settings) {
            if entry.key.is_empty() {
                continue;
            }
            out.push('\n');
            for line in entry.doc {
                let _ = writeln!(out, "# {}", line.trim());
            }
            let name = entry.key.rsplit('.').next().unwrap_or_default();
            let place = self.place(&entry.key);
            let _ = match (entry.kind, &entry.masked, &entry.value) {
                (Kind::Section, ..) => writeln!(out, "[{}]", entry.key),
                (_, Some(masked), _) => {
                    writeln!(out, "# {name} = {}  # {place}", Value::String(masked.clone()))
                }
                (_, None, Some(value)) => writeln!(out, "{name} = {value}  # {place}"),
                (_, None, None) => writeln!(out, "# {name} is not set"),
            };
        }
        out
    }
}

/// The page of documentation about all settings, in Markdown.
pub fn markdown() -> String {
    let entries = entries(&Settings::default());
    let mut out = String::from(INTRODUCTION);
    for entry in &entries {
        match entry.kind {
            Kind::Section if entry.key.is_empty() => {}
            Kind::Section => {
                let _ = write!(out, "\n## `[{}]`\n\n{}\n", entry.key, paragraph(entry));
            }
            kind => {
                let default = match &entry.value {
                    Some(value) => format!("default `{value}`"),
                    None => "not set by default".to_owned(),
                };
                let flag = match entry.key.as_str() {
                    key if WITH_FLAG.contains(&key) => format!(" · `{}`", flag(key)),
                    _ => String::new(),
                };
                let _ = write!(
                    out,
                    "\n### `{}`\n\n{} · {default} · `{}`{flag}\n\n{}\n",
                    entry.key,
                    kind.name(),
                    variable(&entry.key),
                    paragraph(entry),
                );
            }
        }
    }
    out
}

fn paragraph(entry: &Entry) -> String {
    entry.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
}

const INTRODUCTION: &str = "\
# Settings

Reeve runs without any settings. What is set comes from these places; later ones win:

1. the defaults below;
2. the file named by `--config` or `REEVE_CONFIG`, else `reeve.toml` in the working folder if there is one;
3. environment variables: `REEVE_` and the key in capitals, with two underscores for each dot. Lists are
   separated by commas. An empty variable counts as not set;
4. options on the command line.

A key that is not listed here is an error, wherever it stands. `reeve config` prints the effective settings with
the place each comes from, secrets masked; `reeve config --check` only says all that is wrong with them. Relative paths are relative to the
working folder of the program.

This page is made by `reeve config --markdown`.
";
