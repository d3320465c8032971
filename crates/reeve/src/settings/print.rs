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
    /// The effective settings as a settings file: each with its documentation and the place its value comes
    /// from. Values that contain a secret stand masked in a comment.
    pub fn to_toml(&self) -> String {
        let head = format!("# Settings of Reeve {}.\n", env!("CARGO_PKG_VERSION"));
        file(&head, &entries(&self.settings), |entry, name| {
            let place = self.place(&entry.key);
            match (&entry.masked, &entry.value) {
                (Some(masked), _) => format!("# {name} = {}  # {place}", Value::String(masked.clone())),
                (None, Some(value)) => format!("{name} = {value}  # {place}"),
                (None, None) => format!("# {name} is not set"),
            }
        })
    }
}

/// A settings file to start from: each setting with its documentation and its default, in a comment.
pub fn example() -> String {
    file(EXAMPLE, &entries(&Settings::default()), |entry, name| match &entry.value {
        Some(value) => format!("#{name} = {value}"),
        None => format!("#{name} =  # {}, not set by default", entry.kind.name()),
    })
}

/// A settings file that begins with `head`. Under the documentation of each key stands the line that `line` makes of
/// its entry and its name within the section.
fn file(head: &str, entries: &[Entry], line: impl Fn(&Entry, &str) -> String) -> String {
    let mut out = head.to_owned();
    for entry in entries.iter().filter(|entry| !entry.key.is_empty()) {
        out.push('\n');
        for doc in entry.doc {
            let _ = writeln!(out, "# {}", doc.trim());
        }
        let name = entry.key.rsplit('.').next().unwrap_or_default();
        let _ = match entry.kind {
            Kind::Section => writeln!(out, "[{}]", entry.key),
            Kind::Text | Kind::Secret | Kind::Boolean | Kind::Integer | Kind::Number | Kind::List => {
                writeln!(out, "{}", line(entry, name))
            }
        };
    }
    out
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

`reeve config --example` prints a settings file with every key and its default in comments, which is
`reeve.example.toml` in the source. This page is made by `reeve config --markdown`.
";

const EXAMPLE: &str = "\
# Settings of Reeve. This file sets nothing: copy it to `reeve.toml`, and take the # away before what shall differ from
# the default that is shown. It is made by `reeve config --example`.
";
