//! Filters of events.
//! <https://spec.matrix.org/v1.18/client-server-api/#filtering>

use reeve_store::events::Event;
use ruma::api::client::filter::{Filter, LazyLoadOptions, RoomEventFilter, UrlFilter};
use serde_json::Value;

use crate::glob;

/// Reads a filter from JSON.
pub fn parse(json: &str) -> Result<RoomEventFilter, serde_json::Error> {
    serde_json::from_str(json)
}

fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| glob::matches_star(pattern, text))
}

/// Returns true if a filter accepts an event of a type and a sender.
pub fn allows(filter: &Filter, event_type: &str, sender: Option<&str>) -> bool {
    !any(&filter.not_types, event_type)
        && filter.types.as_ref().is_none_or(|types| any(types, event_type))
        && !filter.not_senders.iter().any(|not| Some(not.as_str()) == sender)
        && filter
            .senders
            .as_ref()
            .is_none_or(|senders| senders.iter().any(|wanted| Some(wanted.as_str()) == sender))
}

/// Returns true if a filter accepts a room.
pub fn allows_room(filter: &RoomEventFilter, room_id: &str) -> bool {
    !filter.not_rooms.iter().any(|not| not == room_id)
        && filter.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|wanted| wanted == room_id))
}

/// Returns true if a filter accepts data of a type without sender.
pub fn allows_type(filter: &RoomEventFilter, event_type: &str) -> bool {
    !any(&filter.not_types, event_type) && filter.types.as_ref().is_none_or(|types| any(types, event_type))
}

/// Returns true if a filter accepts an event, apart from its room.
pub fn allows_event(filter: &RoomEventFilter, event: &Event) -> bool {
    if !allows_type(filter, &event.event_type) {
        return false;
    }
    if filter.not_senders.iter().any(|not| *not == event.sender)
        || filter
            .senders
            .as_ref()
            .is_some_and(|senders| !senders.iter().any(|wanted| *wanted == event.sender))
    {
        return false;
    }
    match &filter.url_filter {
        None => true,
        Some(wanted) => has_url(event) == matches!(wanted, UrlFilter::EventsWithUrl),
    }
}

fn has_url(event: &Event) -> bool {
    let json: Value = serde_json::from_str(&event.json).unwrap_or_default();
    event.redacted_by.is_none() && json.pointer("/content/url").is_some_and(Value::is_string)
}

/// Returns the number of events that a filter asks for, within bounds.
pub fn limit(filter: &RoomEventFilter, default: i64, most: i64) -> i64 {
    filter.limit.map_or(default, |limit| i64::try_from(u64::from(limit)).unwrap_or(most)).min(most)
}

/// Returns true if a filter asks only for the members that are needed to show the events.
pub fn is_lazy(filter: &RoomEventFilter) -> bool {
    matches!(filter.lazy_load_options, LazyLoadOptions::Enabled { .. })
}
