//! Synchronising, in all its kinds.

use std::collections::BTreeMap;

use reeve_app::shape::{AnyObject, ClientEvent};
use utoipa::ToSchema;

use super::devices::DeviceMessages;
use super::keys::ChangedDevices;

/// The id of a filter.
#[derive(ToSchema)]
pub(crate) struct FilterId {
    filter_id: String,
}

/// The changes since `since`.
#[derive(ToSchema)]
pub(crate) struct Sync {
    next_batch: String,
    rooms: Option<SyncRooms>,
    account_data: Option<Events>,
    presence: Option<Events>,
    to_device: Events,
    device_lists: ChangedDevices,
    device_one_time_keys_count: BTreeMap<String, i64>,
    device_unused_fallback_key_types: Vec<String>,
}

/// Events.
#[derive(ToSchema)]
pub(crate) struct Events {
    events: Vec<AnyObject>,
}

/// Rooms, by the membership of the account.
#[derive(ToSchema)]
pub(crate) struct SyncRooms {
    join: Option<BTreeMap<String, SyncedRoom>>,
    invite: Option<BTreeMap<String, AnyObject>>,
    knock: Option<BTreeMap<String, AnyObject>>,
    leave: Option<BTreeMap<String, LeftRoom>>,
}

/// The changes in a room.
#[derive(ToSchema)]
pub(crate) struct SyncedRoom {
    timeline: SyncTimeline,
    state: Option<Events>,
    state_after: Option<Events>,
    #[schema(rename = "org.matrix.msc4222.state_after")]
    unstable_state_after: Option<Events>,
    account_data: Events,
    ephemeral: Events,
    unread_notifications: UnreadCounts,
    unread_thread_notifications: Option<BTreeMap<String, UnreadCounts>>,
    summary: Option<RoomHeroes>,
}

/// The changes in a room that was left.
#[derive(ToSchema)]
pub(crate) struct LeftRoom {
    timeline: SyncTimeline,
    state: Option<Events>,
    state_after: Option<Events>,
    #[schema(rename = "org.matrix.msc4222.state_after")]
    unstable_state_after: Option<Events>,
    account_data: Events,
}

/// Events of a room. A filter decides which keys they have.
#[derive(ToSchema)]
pub(crate) struct SyncTimeline {
    events: Vec<AnyObject>,
    limited: bool,
    prev_batch: String,
}

/// Unread counts.
#[derive(ToSchema)]
pub(crate) struct UnreadCounts {
    notification_count: i64,
    highlight_count: i64,
}

/// The summary of a room's members.
#[derive(ToSchema)]
pub(crate) struct RoomHeroes {
    #[schema(rename = "m.heroes")]
    heroes: Vec<String>,
    #[schema(rename = "m.joined_member_count")]
    joined: i64,
    #[schema(rename = "m.invited_member_count")]
    invited: i64,
}

/// The changes since `pos`.
#[derive(ToSchema)]
pub(crate) struct SlidingAnswer {
    pos: String,
    txn_id: Option<String>,
    lists: BTreeMap<String, ListCount>,
    rooms: BTreeMap<String, AnyObject>,
    extensions: SlidingExtensions,
}

/// The number of rooms in a list.
#[derive(ToSchema)]
pub(crate) struct ListCount {
    count: i64,
}

/// The changes outside rooms.
#[derive(ToSchema)]
pub(crate) struct SlidingExtensions {
    to_device: Option<DeviceMessages>,
    e2ee: Option<SlidingKeys>,
    account_data: Option<AnyObject>,
    receipts: Option<AnyObject>,
    typing: Option<AnyObject>,
}

/// The changes of keys.
#[derive(ToSchema)]
pub(crate) struct SlidingKeys {
    device_lists: ChangedDevices,
    device_one_time_keys_count: BTreeMap<String, i64>,
    device_unused_fallback_key_types: Vec<String>,
}

/// The rooms, account data and presence of an account.
#[derive(ToSchema)]
pub(crate) struct InitialSync {
    end: String,
    rooms: Vec<AnyObject>,
    presence: Vec<AnyObject>,
    account_data: Vec<AnyObject>,
    receipts: Vec<AnyObject>,
}

/// The state of a room and its latest messages.
#[derive(ToSchema)]
pub(crate) struct RoomInitialSync {
    room_id: String,
    state: Vec<ClientEvent>,
    messages: RoomChunk,
    account_data: Vec<AnyObject>,
    visibility: String,
    membership: Option<String>,
}

/// A part of the history of a room.
#[derive(ToSchema)]
pub(crate) struct RoomChunk {
    chunk: Vec<ClientEvent>,
    start: String,
    end: String,
}

/// New events of rooms.
#[derive(ToSchema)]
pub(crate) struct EventChunk {
    chunk: Vec<ClientEvent>,
    start: String,
    end: String,
}
