//! Completion of events: hashes, signature and id.

use reeve_model::Millis;
use ruma::room_version_rules::RoomVersionRules;
use ruma::signatures::{JsonError, hash_and_sign_event, reference_hash};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Draft;
use super::content::canonical;
use super::pdu::Kind;
use super::pdu::Pdu;
use crate::Home;
use crate::error::Error;

/// The maximum size of an event, in bytes of its canonical JSON.
pub const MAX_EVENT: usize = 65_535;

/// The place of an event in the history of a room.
pub(super) struct Place<'a> {
    /// The room; `None` for a create event that gives the room its id.
    pub(super) room_id: Option<&'a str>,
    /// The ids of the events that it follows.
    pub(super) prev_events: Vec<String>,
    /// The ids of the state events that allow it.
    pub(super) auth_events: Vec<String>,
    pub(super) depth: i64,
}

/// A complete event that is not stored yet.
pub(super) struct Signed {
    /// The event in the form in which the authorisation rules read it.
    pub(super) pdu: Pdu,
    /// Its content.
    pub(super) content: Map<String, Value>,
    /// The whole event in the format of its room version, as JSON.
    pub(super) json: String,
}

/// Completes an event. `raw` is its content again, as JSON.
pub(super) fn build(
    home: &Home,
    draft: Draft,
    raw: Box<RawValue>,
    place: Place<'_>,
    now: Millis,
    rules: &RoomVersionRules,
) -> Result<Signed, Error> {
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    let list = |ids: &[String]| CanonicalJsonValue::Array(ids.iter().map(|id| text(id)).collect());
    let number = |number: i64| {
        ruma::Int::try_from(number)
            .map(CanonicalJsonValue::Integer)
            .map_err(|_| Error::internal("a number beyond canonical JSON"))
    };
    let mut event = CanonicalJsonObject::new();
    if let Some(redacts) = &draft.redacts {
        event.insert("redacts".to_owned(), text(redacts));
    }
    event.insert("auth_events".to_owned(), list(&place.auth_events));
    event.insert("prev_events".to_owned(), list(&place.prev_events));
    event.insert("content".to_owned(), CanonicalJsonValue::Object(canonical(&draft.content)?));
    event.insert("depth".to_owned(), number(place.depth)?);
    event.insert("origin_server_ts".to_owned(), number(now.get())?);
    event.insert("sender".to_owned(), text(&draft.sender));
    event.insert("type".to_owned(), text(&draft.event_type));
    if let Some(state_key) = &draft.state_key {
        event.insert("state_key".to_owned(), text(state_key));
    }
    if let Some(room_id) = place.room_id {
        event.insert("room_id".to_owned(), text(room_id));
    }
    hash_and_sign_event(&home.server_name, home.key.pair(), &mut event, &rules.redaction)
        .map_err(signing_error)?;
    let hash = reference_hash(&event, rules).map_err(signing_error)?;
    let json = serde_json::to_string(&event).map_err(Error::internal)?;
    if json.len() > MAX_EVENT {
        return Err(Error::TooLarge("event too large"));
    }
    let event_id = OwnedEventId::try_from(format!("${hash}")).map_err(Error::internal)?;
    let kind = Kind { event_type: &draft.event_type, state_key: draft.state_key.as_deref() };
    let mut pdu = Pdu::new(event_id, place.room_id, kind, &draft.sender, now, raw)?;
    pdu.prev_events =
        place.prev_events.iter().filter_map(|id| OwnedEventId::try_from(id.as_str()).ok()).collect();
    Ok(Signed { pdu, content: draft.content, json })
}

/// Returns the error for an event that cannot be signed.
fn signing_error(error: JsonError) -> Error {
    match error {
        JsonError::PduTooLarge => Error::TooLarge("event too large"),
        error => Error::internal(error),
    }
}
