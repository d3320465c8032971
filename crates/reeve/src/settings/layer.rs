//! The settings of one source, as a table.

use toml::{Table, Value};

/// The settings of one source.
#[derive(Clone)]
pub(super) struct Layer {
    pub(super) source: Source,
    pub(super) table: Table,
}

/// Where settings come from, besides the defaults.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    File,
    Environment,
    Flags,
    /// The files that hold secrets.
    SecretFiles,
}

/// The value of `key` in the last layer that has one, with its source.
pub(super) fn find<'l>(layers: &'l [Layer], key: &str) -> Option<(Source, &'l Value)> {
    layers.iter().rev().find_map(|layer| get(&layer.table, key).map(|value| (layer.source, value)))
}

/// The value under a dotted key.
fn get<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, rest)) => get(table.get(section)?.as_table()?, rest),
    }
}
