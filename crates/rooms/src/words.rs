//! The text of events in the search index.

use serde_json::{Map, Value};

use crate::types;

/// Returns the key of the content with the text of events of a type.
pub(crate) fn key(event_type: &str) -> Option<&'static str> {
    match event_type {
        types::MESSAGE => Some("body"),
        types::NAME => Some("name"),
        types::TOPIC => Some("topic"),
        _ => None,
    }
}

/// Returns the text of an event for the search index.
pub(crate) fn text<'c>(event_type: &str, content: &'c Map<String, Value>) -> Option<&'c str> {
    content.get(key(event_type)?)?.as_str()
}
