//! The response of a sync.

use std::collections::BTreeMap;

use reeve_rooms::push::Count;
use reeve_rooms::view::ClientEvent;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::data::DataEvent;
use crate::devices::{DeviceLists, KeysLeft};
use crate::room::Summary;

/// A list of events.
#[derive(Debug, Default, Serialize)]
pub struct Events<T> {
    /// The events.
    pub events: Vec<T>,
}

#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    pub(super) events: Vec<ClientEvent>,
    pub(super) limited: bool,
    pub(super) prev_batch: String,
}

/// The state around a timeline, under its key.
#[derive(Debug, Default, Serialize)]
pub(super) struct PlacedState {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<Events<ClientEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state_after: Option<Events<ClientEvent>>,
    #[serde(rename = "org.matrix.msc4222.state_after", skip_serializing_if = "Option::is_none")]
    pub(super) unstable_state_after: Option<Events<ClientEvent>>,
}

/// A room that the user has joined.
#[derive(Debug, Serialize)]
pub struct Joined {
    pub(super) timeline: Timeline,
    #[serde(flatten)]
    pub(super) state: PlacedState,
    pub(super) account_data: Events<DataEvent>,
    pub(super) ephemeral: Events<Value>,
    pub(super) unread_notifications: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unread_thread_notifications: Option<BTreeMap<String, Count>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<Summary>,
}

/// A room that the user has left.
#[derive(Debug, Serialize)]
pub struct Left {
    pub(super) timeline: Timeline,
    #[serde(flatten)]
    pub(super) state: PlacedState,
    pub(super) account_data: Events<DataEvent>,
}

/// The rooms of a response, by membership.
#[derive(Debug, Default, Serialize)]
pub struct Rooms {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) join: BTreeMap<String, Joined>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) invite: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) knock: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) leave: BTreeMap<String, Left>,
}

impl Rooms {
    fn is_empty(&self) -> bool {
        self.join.is_empty() && self.invite.is_empty() && self.knock.is_empty() && self.leave.is_empty()
    }
}

/// A response.
#[derive(Debug, Serialize)]
pub struct Response {
    pub(super) next_batch: String,
    #[serde(skip_serializing_if = "Rooms::is_empty")]
    pub(super) rooms: Rooms,
    #[serde(skip_serializing_if = "no_events")]
    pub(super) account_data: Events<DataEvent>,
    #[serde(skip_serializing_if = "no_events")]
    pub(super) presence: Events<Value>,
    pub(super) to_device: Events<Box<RawValue>>,
    pub(super) device_lists: DeviceLists,
    /// The remaining keys of the device.
    #[serde(flatten)]
    pub keys: KeysLeft,
    /// True if the response contains a presence of another user. The user's own presence alone is no reason to respond.
    #[serde(skip)]
    pub(super) tells_presence: bool,
}

fn no_events<T>(events: &Events<T>) -> bool {
    events.events.is_empty()
}

impl Response {
    /// Returns true if there is nothing new.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
            && no_events(&self.account_data)
            && !self.tells_presence
            && no_events(&self.to_device)
            && self.device_lists.is_empty()
    }
}
