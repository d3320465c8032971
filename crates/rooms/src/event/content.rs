//! Content of events: its shape, and its redacted form.

use reeve_store::events::Event;
use reeve_store::rooms::Room;
use ruma::canonical_json::redact_content_in_place;
use ruma::room_version_rules::RoomVersionRules;
use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Draft;
use crate::error::Error;
use crate::power;
use crate::types;
use crate::version;

/// The maximum length of a type, state key, sender and room id, in bytes.
const MAX_KEY: usize = 255;
/// The maximum depth of content.
const MAX_DEPTH: usize = 100;

/// Returns the rules of a room's version.
pub fn rules(room: &Room) -> Result<RoomVersionRules, Error> {
    version::rules(&room.version).ok_or_else(|| Error::internal(format!("room version {}", room.version)))
}

/// Returns the content of a stored event, redacted if the event is.
pub fn content(event: &Event, rules: &RoomVersionRules) -> Result<Map<String, Value>, Error> {
    #[derive(serde::Deserialize)]
    struct Wire {
        content: Map<String, Value>,
    }
    let Wire { content } = serde_json::from_str(&event.json).map_err(Error::internal)?;
    if event.redacted_by.is_none() {
        return Ok(content);
    }
    let mut content = canonical(&content)?;
    redact_content_in_place(&mut content, &rules.redaction, &event.event_type);
    plain(&content)
}

/// Returns the stored content of an event that is not redacted.
pub(super) fn raw_content(event: &Event) -> Result<Box<RawValue>, Error> {
    #[derive(serde::Deserialize)]
    struct Wire<'e> {
        #[serde(borrow)]
        content: &'e RawValue,
    }
    let Wire { content } = serde_json::from_str(&event.json).map_err(Error::internal)?;
    Ok(content.to_owned())
}

/// Returns the content as canonical JSON; refuses content that canonical JSON cannot express.
pub(super) fn canonical(content: &Map<String, Value>) -> Result<CanonicalJsonObject, Error> {
    match CanonicalJsonValue::try_from(Value::Object(content.clone())) {
        Ok(CanonicalJsonValue::Object(object)) => Ok(object),
        Ok(_) => Err(Error::internal("an object became something else")),
        Err(error) => Err(Error::BadContent(format!("Content is not valid canonical JSON: {error}"))),
    }
}

fn plain(content: &CanonicalJsonObject) -> Result<Map<String, Value>, Error> {
    match serde_json::to_value(content) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Error::internal("canonical JSON is not JSON")),
    }
}

pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Checks the shape of a draft, which does not depend on the room.
pub(super) fn check_shape(draft: &Draft) -> Result<(), Error> {
    if draft.event_type.len() > MAX_KEY {
        return Err(Error::TooLarge("'type' is too large"));
    }
    if draft.state_key.as_ref().is_some_and(|key| key.len() > MAX_KEY) {
        return Err(Error::TooLarge("'state_key' is too large"));
    }
    if draft.content.values().map(depth).max().unwrap_or(0) > MAX_DEPTH {
        return Err(Error::BadContent("Content is nested too deeply".to_owned()));
    }
    if draft.event_type == types::POWER_LEVELS && draft.state_key.as_deref() == Some("") {
        power::check_levels(&draft.content)?;
    }
    Ok(())
}
