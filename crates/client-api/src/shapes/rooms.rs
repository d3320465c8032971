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

/// A new room.
#[derive(ToSchema)]
pub(crate) struct CreatedRoom {
    room_id: String,
    room_alias: Option<String>,
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
