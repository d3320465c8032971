//! One room: its details, members and state.

use reeve_app::{Access, Answer, Call, Param, Route, reply, shape};
use reeve_model::{Membership, Pos, Scope};
use reeve_rooms::types;
use reeve_rooms::view::{ClientEvent, View};
use reeve_rooms::{Error, event};
use reeve_store::{events, memberships, rooms};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

const UNKNOWN: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such room");
const MISSING: Error = Error::NotFound("Room not found");

/// A room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomDetails {
    room_id: String,
    #[schema(required)]
    name: Option<String>,
    /// Its canonical alias.
    #[schema(required)]
    canonical_alias: Option<String>,
    joined_members: i64,
    #[schema(required)]
    join_rules: Option<String>,
    #[schema(required)]
    guest_access: Option<String>,
    #[schema(required)]
    history_visibility: Option<String>,
    /// The number of its state events.
    state_events: i64,
    #[schema(required)]
    avatar: Option<String>,
    #[schema(required)]
    topic: Option<String>,
    /// Its type, such as `m.space`.
    #[schema(required)]
    room_type: Option<String>,
    /// The number of joined members of this server.
    joined_local_members: i64,
    /// Its version, such as `11`.
    version: String,
    creator: String,
    /// Its encryption algorithm.
    #[schema(required)]
    encryption: Option<String>,
    /// True if users of other servers may join.
    federatable: bool,
    /// True if the public room directory lists it.
    public: bool,
    /// The number of devices of its members of this server.
    joined_local_devices: i64,
    /// True if all its former members have left and forgotten it.
    forgotten: bool,
    /// True if it was closed in favour of another room.
    tombstoned: bool,
    /// The room that replaced it.
    #[schema(required)]
    replacement_room: Option<String>,
}

/// The joined members of a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomMembers {
    members: Vec<String>,
    total: usize,
}

/// The state of a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomState {
    /// The state events, as clients get them.
    #[schema(value_type = Vec<shape::ClientEvent>)]
    state: Vec<ClientEvent>,
}

pub(crate) fn details() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room_id}", handle_details)
        .access(Access::Admin(Scope::RoomsRead))
        .id("getRoom")
        .summary("Returns the details of a room")
        .returns::<RoomDetails>(200)
        .errors(&[UNKNOWN])
}

pub(crate) fn members() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room_id}/members", handle_members)
        .access(Access::Admin(Scope::RoomsRead))
        .id("listRoomMembers")
        .summary("Lists the joined members of a room")
        .returns::<RoomMembers>(200)
        .errors(&[UNKNOWN])
}

pub(crate) fn state() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room_id}/state", handle_state)
        .access(Access::Admin(Scope::RoomsRead))
        .id("getRoomStateAsAdmin")
        .summary("Returns the current state of a room")
        .query([Param::text("type", "only events of this type")])
        .returns::<RoomState>(200)
        .errors(&[UNKNOWN])
}

async fn handle_details(call: Call) -> Answer {
    let room_id = call.param("room_id");
    let details = call
        .read(move |tx| -> Result<_, Error> {
            let room = rooms::find(tx, &room_id)?.ok_or(MISSING)?;
            let tombstone = event::state_content(tx, &room, types::TOMBSTONE, "")?;
            let replacement = tombstone
                .as_ref()
                .and_then(|content| content.get("replacement_room"))
                .and_then(Value::as_str);
            Ok(RoomDetails {
                joined_local_devices: memberships::count_devices(tx, room.num)?,
                forgotten: !memberships::is_remembered(tx, room.num)?,
                tombstoned: tombstone.is_some(),
                replacement_room: replacement.map(str::to_owned),
                room_id: room.room_id,
                name: room.name,
                canonical_alias: room.canonical_alias,
                joined_members: room.joined_members,
                join_rules: room.join_rule,
                guest_access: room.guest_access,
                history_visibility: room.history_visibility,
                state_events: room.state_events,
                avatar: room.avatar_url,
                topic: room.topic,
                room_type: room.room_type,
                joined_local_members: room.joined_members,
                version: room.version,
                creator: room.creator,
                encryption: room.encryption,
                federatable: room.federatable,
                public: room.published,
            })
        })
        .await?;
    reply::ok(&details)
}

async fn handle_members(call: Call) -> Answer {
    let room_id = call.param("room_id");
    let members = call
        .read(move |tx| -> Result<_, Error> {
            let room = rooms::num(tx, &room_id)?.ok_or(MISSING)?;
            Ok(memberships::of_room_in(tx, room, Membership::Join, i64::MAX)?)
        })
        .await?;
    reply::ok(&RoomMembers { total: members.len(), members })
}

async fn handle_state(call: Call) -> Answer {
    let (room_id, now) = (call.param("room_id"), call.now);
    let event_type = call.query.utf8("type")?.filter(|event_type| !event_type.is_empty());
    let state = call
        .read(move |tx| -> Result<_, Error> {
            let room = rooms::find(tx, &room_id)?.ok_or(MISSING)?;
            let state = match &event_type {
                Some(event_type) => events::state_of_type_at(tx, room.num, event_type, Pos::PRESENT)?,
                None => events::all_state_at(tx, room.num, Pos::PRESENT)?,
            };
            View::of_admin(tx, now).room(&room)?.show_state(&state)
        })
        .await?;
    reply::ok(&RoomState { state })
}
