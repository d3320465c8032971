//! Completing events: hashes, signature and id.

use reeve_model::Millis;
use ruma::room_version_rules::RoomVersionRules;
use ruma::signatures::{JsonError, hash_and_sign_event, reference_hash};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId};

use super::Draft;
use super::content::canonical;
use crate::Home;
use crate::error::Error;

/// The largest event, in bytes of its canonical JSON.
pub const MAX_EVENT: usize = 65_535;

/// A signed event that is not stored yet.
pub(super) struct Signed {
    pub(super) event_id: OwnedEventId,
    pub(super) json: String,
}

pub(super) fn sign(
    home: &Home,
    room_id: Option<&str>,
    draft: &Draft,
    (prev_events, auth_events): (&[String], &[String]),
    depth: i64,
    now: Millis,
    rules: &RoomVersionRules,
) -> Result<Signed, Error> {
    let mut content = canonical(&draft.content)?;
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    let list = |ids: &[String]| CanonicalJsonValue::Array(ids.iter().map(|id| text(id)).collect());
    let number = |number: i64| {
        ruma::Int::try_from(number)
            .map(CanonicalJsonValue::Integer)
            .map_err(|_| Error::internal("a number beyond canonical JSON"))
    };
    let mut event = CanonicalJsonObject::new();
    if let Some(redacts) = &draft.redacts {
        if rules.redaction.content_field_redacts {
            content.insert("redacts".to_owned(), text(redacts));
        } else {
            event.insert("redacts".to_owned(), text(redacts));
        }
    }
    event.insert("auth_events".to_owned(), list(auth_events));
    event.insert("prev_events".to_owned(), list(prev_events));
    event.insert("content".to_owned(), CanonicalJsonValue::Object(content));
    event.insert("depth".to_owned(), number(depth)?);
    event.insert("origin_server_ts".to_owned(), number(now.get())?);
    event.insert("sender".to_owned(), text(&draft.sender));
    event.insert("type".to_owned(), text(&draft.event_type));
    if let Some(state_key) = &draft.state_key {
        event.insert("state_key".to_owned(), text(state_key));
    }
    if let Some(room_id) = room_id {
        event.insert("room_id".to_owned(), text(room_id));
    }
    hash_and_sign_event(&home.server_name, home.key.pair(), &mut event, &rules.redaction)
        .map_err(unsigned)?;
    let hash = reference_hash(&event, rules).map_err(unsigned)?;
    let json = serde_json::to_string(&event).map_err(Error::internal)?;
    if json.len() > MAX_EVENT {
        return Err(Error::TooLarge("event too large"));
    }
    let event_id = OwnedEventId::try_from(format!("${hash}")).map_err(Error::internal)?;
    Ok(Signed { event_id, json })
}

/// Why an event cannot be signed.
fn unsigned(error: JsonError) -> Error {
    match error {
        JsonError::PduTooLarge => Error::TooLarge("event too large"),
        error => Error::internal(error),
    }
}
