//! The words by which events are found.

use serde_json::{Map, Value};

use crate::types;

/// The key of the content in which the text stands by which events of a type are found.
pub(crate) fn key(event_type: &str) -> Option<&'static str> {
    match event_type {
        types::MESSAGE => Some("body"),
        types::NAME => Some("name"),
        types::TOPIC => Some("topic"),
        _ => None,
    }
}

/// The text by which an event is found.
pub(crate) fn text<'c>(event_type: &str, content: &'c Map<String, Value>) -> Option<&'c str> {
    content.get(key(event_type)?)?.as_str()
}
