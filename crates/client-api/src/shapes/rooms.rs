//! Rooms and what is in them.

use std::collections::BTreeMap;

use reeve_app::shape::{AnyObject, ClientEvent};
use utoipa::ToSchema;

/// The room of an alias.
#[derive(ToSchema)]
pub(crate) struct ResolvedAlias {
    room_id: String,
    servers: Vec<String>,
}

/// The id of a room.
#[derive(ToSchema)]
pub(crate) struct RoomId {
    room_id: String,
}

/// Aliases.
#[derive(ToSchema)]
pub(crate) struct Aliases {
    aliases: Vec<String>,
}

/// `public` or `private`.
#[derive(ToSchema)]
pub(crate) struct Visibility {
    visibility: String,
}

/// `public` (default) or `private`.
#[derive(ToSchema)]
pub(crate) struct NewVisibility {
    visibility: Option<String>,
}

/// A page of the public room directory.
#[derive(ToSchema)]
pub(crate) struct PublicRooms {
    chunk: Vec<PublicRoom>,
    total_room_count_estimate: i64,
    next_batch: Option<String>,
    prev_batch: Option<String>,
}

/// A published room.
#[derive(ToSchema)]
pub(crate) struct PublicRoom {
    room_id: String,
    name: Option<String>,
    topic: Option<String>,
    canonical_alias: Option<String>,
    num_joined_members: i64,
    avatar_url: Option<String>,
    world_readable: bool,
    guest_can_join: bool,
    join_rule: Option<String>,
    room_type: Option<String>,
}

/// A search in the public room directory.
#[derive(ToSchema)]
pub(crate) struct RoomSearch {
    filter: Option<AnyObject>,
    limit: Option<i64>,
    since: Option<String>,
}

/// A new room.
#[derive(ToSchema)]
pub(crate) struct NewRoom {
    room_version: Option<String>,
    preset: Option<String>,
    visibility: Option<String>,
    room_alias_name: Option<String>,
    name: Option<String>,
    topic: Option<String>,
    invite: Option<Vec<String>>,
    is_direct: Option<bool>,
    creation_content: Option<AnyObject>,
    initial_state: Option<Vec<AnyObject>>,
    power_level_content_override: Option<AnyObject>,
}

/// A new room.
#[derive(ToSchema)]
pub(crate) struct CreatedRoom {
    room_id: String,
    room_alias: Option<String>,
}

/// The reason.
#[derive(ToSchema)]
pub(crate) struct Reason {
    reason: Option<String>,
}

/// The user, and the reason.
#[derive(ToSchema)]
pub(crate) struct TargetUser {
    user_id: String,
    reason: Option<String>,
}

/// Rooms.
#[derive(ToSchema)]
pub(crate) struct JoinedRoomIds {
    joined_rooms: Vec<String>,
}

/// A page of a history.
#[derive(ToSchema)]
pub(crate) struct History {
    chunk: Vec<ClientEvent>,
    start: String,
    end: Option<String>,
    state: Option<Vec<ClientEvent>>,
}

/// An event and its context.
#[derive(ToSchema)]
pub(crate) struct Surroundings {
    event: ClientEvent,
    events_before: Vec<ClientEvent>,
    events_after: Vec<ClientEvent>,
    start: String,
    end: String,
    state: Vec<ClientEvent>,
}

/// Membership events.
#[derive(ToSchema)]
pub(crate) struct Members {
    chunk: Vec<ClientEvent>,
}

/// The joined members, by user id.
#[derive(ToSchema)]
pub(crate) struct JoinedMembers {
    joined: BTreeMap<String, MemberProfile>,
}

/// The profile of a member in a room.
#[derive(ToSchema)]
pub(crate) struct MemberProfile {
    #[schema(required)]
    display_name: Option<String>,
    #[schema(required)]
    avatar_url: Option<String>,
}

/// An event near a time.
#[derive(ToSchema)]
pub(crate) struct EventAtTime {
    event_id: String,
    origin_server_ts: i64,
}

/// A page of related events.
#[derive(ToSchema)]
pub(crate) struct Relations {
    chunk: Vec<ClientEvent>,
    next_batch: Option<String>,
    prev_batch: Option<String>,
    recursion_depth: Option<i64>,
}

/// A page of threads.
#[derive(ToSchema)]
pub(crate) struct Threads {
    chunk: Vec<ClientEvent>,
    next_batch: Option<String>,
}

/// A page of the rooms of a space.
#[derive(ToSchema)]
pub(crate) struct Space {
    rooms: Vec<AnyObject>,
    next_batch: Option<String>,
}

/// The summary of a room.
#[derive(ToSchema)]
pub(crate) struct RoomPresentation {
    room_id: String,
    name: Option<String>,
    topic: Option<String>,
    canonical_alias: Option<String>,
    num_joined_members: i64,
    avatar_url: Option<String>,
    world_readable: bool,
    guest_can_join: bool,
    join_rule: Option<String>,
    room_type: Option<String>,
    room_version: Option<String>,
    encryption: Option<String>,
    allowed_room_ids: Option<Vec<String>>,
    membership: Option<String>,
}

/// The thread.
#[derive(ToSchema)]
pub(crate) struct Thread {
    thread_id: Option<String>,
}

/// The events up to which the account has read.
#[derive(ToSchema)]
pub(crate) struct ReadMarkers {
    #[schema(rename = "m.fully_read")]
    fully_read: Option<String>,
    #[schema(rename = "m.read")]
    read: Option<String>,
    #[schema(rename = "m.read.private")]
    read_private: Option<String>,
}

/// The typing state, with its duration in milliseconds.
#[derive(ToSchema)]
pub(crate) struct Typing {
    typing: bool,
    timeout: Option<i64>,
}

/// The reason of a report.
#[derive(ToSchema)]
pub(crate) struct EventReport {
    reason: Option<String>,
    score: Option<i64>,
}

/// The reason.
#[derive(ToSchema)]
pub(crate) struct Report {
    reason: String,
}

/// The id of an event.
#[derive(ToSchema)]
pub(crate) struct EventId {
    event_id: String,
}

/// Tags by name.
#[derive(ToSchema)]
pub(crate) struct Tags {
    tags: BTreeMap<String, AnyObject>,
}

/// The position of a room among those with the tag.
#[derive(ToSchema)]
pub(crate) struct Tag {
    order: Option<f64>,
}

/// The new room version.
#[derive(ToSchema)]
pub(crate) struct Upgrade {
    new_version: String,
    additional_creators: Option<Vec<String>>,
}

/// The room that replaces another.
#[derive(ToSchema)]
pub(crate) struct Replacement {
    replacement_room: String,
}

/// State events.
#[derive(ToSchema)]
pub(crate) struct State(Vec<ClientEvent>);

/// A list.
#[derive(ToSchema)]
pub(crate) struct List(Vec<AnyObject>);

/// Rooms that two users have joined.
#[derive(ToSchema)]
pub(crate) struct MutualRooms {
    joined: Vec<String>,
    count: i64,
    next_batch: Option<String>,
}
