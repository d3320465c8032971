//! The form of a room in a response.

use std::collections::HashSet;

use reeve_model::Pos;
use reeve_rooms::error::Error;
use reeve_rooms::view::ClientEvent;
use reeve_store::departures::Departure;
use serde::Serialize;
use serde_json::Value;

/// A member after whom a room without name is called.
#[derive(Debug, Serialize)]
pub(super) struct Hero {
    pub(super) user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar_url: Option<String>,
}

/// A room. A missing field has not changed; in a room that the client did not know, it is not set.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Room {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) heroes: Option<Vec<Hero>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_dm: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) initial: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unstable_expanded_timeline: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) required_state: Option<Vec<ClientEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeline: Option<Vec<ClientEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invite_state: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prev_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) num_live: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bump_stamp: Option<Pos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) joined_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invited_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notification_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) highlight_count: Option<i64>,
}

impl Room {
    /// A deleted room, which the user was made to leave.
    pub(crate) fn departed(departure: &Departure) -> Result<Self, Error> {
        let left: Option<ClientEvent> =
            departure.event.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
        let left: Vec<ClientEvent> = left.into_iter().collect();
        Ok(Self {
            required_state: Some(left.clone()),
            num_live: Some(left.len()),
            timeline: Some(left),
            limited: Some(false),
            bump_stamp: Some(departure.pos),
            ..Self::default()
        })
    }

    /// Returns the number of events in it.
    pub(crate) fn size(&self) -> usize {
        let of = |events: Option<&Vec<ClientEvent>>| events.map_or(0, Vec::len);
        of(self.timeline.as_ref()) + of(self.required_state.as_ref())
    }
}

/// The facts about a room in a response that extensions need.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The position up to which the client knew the room; `None` if not at all.
    pub(crate) since: Option<Pos>,
    /// The events in its timeline.
    pub(crate) event_ids: HashSet<String>,
}

/// A room in a response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) room: Room,
    pub(crate) sent: Sent,
}
