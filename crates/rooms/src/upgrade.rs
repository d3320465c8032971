//! Moving a room to another version.
//! <https://spec.matrix.org/v1.18/client-server-api/#room-upgrades>

use reeve_db::Tx;
use reeve_model::{Ctx, User, random};
use reeve_store::events;
use reeve_store::rooms;
use serde_json::{Map, Value, json};

use crate::create::{self, NewRoom};
use crate::error::Error;
use crate::event::{self, Draft};
use crate::membership::{self, Powers};
use crate::{Home, send, version};

/// State that the new room takes over.
const TAKEN_OVER: [&str; 10] = [
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.join_rules",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.encryption",
    "m.room.server_acl",
    "m.room.power_levels",
    "m.space.child",
];

/// Replaces a room by a new one of another version; answers the id of the new one.
pub fn upgrade(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    room_id: &str,
    new_version: &str,
    additional_creators: &[String],
) -> Result<String, Error> {
    if user.suspended {
        return Err(Error::Suspended("Sending messages while account is suspended is not allowed."));
    }
    let rules = version::rules(new_version).ok_or(Error::UnsupportedVersion)?;
    let mut old = send::find_room(tx, room_id)?;
    if membership::current(tx, &user.user_id, &old)? != "join" {
        return Err(Error::forbidden(format!("User {} not in room {room_id}", user.user_id)));
    }
    let powers = Powers::of(tx, &old)?;
    if powers.user(&user.user_id) < powers.event("m.room.tombstone", true) {
        return Err(Error::forbidden("You don't have permission to upgrade this room"));
    }
    if user.shadow_banned {
        return Ok(format!("!{}:{}", random::letters(18), home.server_name));
    }
    let old_rules = event::rules(&old)?;
    let creation = event::state_content(tx, &old, "m.room.create", "")?.unwrap_or_default();
    let mut creation_content = Map::new();
    for key in ["m.federate", "type"] {
        if let Some(value) = creation.get(key) {
            creation_content.insert(key.to_owned(), value.clone());
        }
    }
    let mut predecessor = json!({ "room_id": room_id });
    if !rules.authorization.room_create_event_id_as_room_id {
        predecessor = json!({ "room_id": room_id, "event_id": old.last_event_id });
    }
    creation_content.insert("predecessor".to_owned(), predecessor);
    if rules.authorization.additional_room_creators && !additional_creators.is_empty() {
        creation_content.insert("additional_creators".to_owned(), json!(additional_creators));
    }
    let mut initial_state = Vec::new();
    let mut bans = Vec::new();
    for state in events::all_state_at(tx, old.num, i64::MAX - 1)? {
        let content = event::content(&state, &old_rules)?;
        let state_key = state.state_key.clone().unwrap_or_default();
        if state.membership.as_deref() == Some("ban") {
            bans.push((state_key, content));
            continue;
        }
        let taken = TAKEN_OVER.contains(&state.event_type.as_str())
            && (state.event_type != "m.space.child" || content.contains_key("via"));
        if !taken || content.is_empty() {
            continue;
        }
        let content = if state.event_type == "m.room.power_levels" {
            carried_powers(content, user, &creation, &old.creator, powers.is_privileged(&old.creator), &rules)
        } else {
            content
        };
        initial_state.push((state.event_type.clone(), state_key, content));
    }
    let new = NewRoom {
        version: Some(new_version.to_owned()),
        creation_content,
        initial_state,
        ..NewRoom::default()
    };
    let mut room = create::create(tx, home, ctx, user, &new)?;
    for (target, content) in bans {
        let draft = Draft::state("m.room.member", &target, &user.user_id, content);
        event::append(tx, home, &mut room, &draft, ctx.now)?;
    }
    let tombstone = Map::from_iter([
        ("body".to_owned(), json!("This room has been replaced")),
        ("replacement_room".to_owned(), json!(room.room_id)),
    ]);
    let draft = Draft::state("m.room.tombstone", "", &user.user_id, tombstone);
    event::append(tx, home, &mut old, &draft, ctx.now)?;

    // The names lead to the new room from now on.
    rooms::move_aliases(tx, old.num, room.num)?;
    if let Some(content) = event::state_content(tx, &old, "m.room.canonical_alias", "")? {
        let draft = Draft::state("m.room.canonical_alias", "", &user.user_id, content);
        event::append(tx, home, &mut room, &draft, ctx.now)?;
        if powers.user(&user.user_id) >= powers.event("m.room.canonical_alias", true) {
            let draft = Draft::state("m.room.canonical_alias", "", &user.user_id, Map::new());
            event::append(tx, home, &mut old, &draft, ctx.now)?;
        }
    }
    if old.published {
        let before = room.clone();
        room.published = true;
        rooms::update(tx, &before, &room)?;
        let before = old.clone();
        old.published = false;
        rooms::update(tx, &before, &old)?;
    }
    restrict(tx, home, ctx, user, &mut old, &powers)?;
    Ok(room.room_id)
}

/// The power levels for the new room: creators stand above all there, or have a number again.
fn carried_powers(
    mut content: Map<String, Value>,
    user: &User,
    creation: &Map<String, Value>,
    old_creator: &str,
    was_privileged: bool,
    rules: &ruma::room_version_rules::RoomVersionRules,
) -> Map<String, Value> {
    let users = content.entry("users").or_insert_with(|| json!({}));
    let Value::Object(users) = users else { return content };
    if rules.authorization.explicitly_privilege_room_creators {
        users.shift_remove(&user.user_id);
    } else {
        if was_privileged {
            let more =
                creation.get("additional_creators").and_then(Value::as_array).cloned().unwrap_or_default();
            for creator in more.iter().filter_map(Value::as_str).chain([old_creator]) {
                users.insert(creator.to_owned(), json!(100));
            }
        }
        users.insert(user.user_id.clone(), json!(100));
    }
    content
}

/// Nobody but the powerful speaks in the old room any more.
fn restrict(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    old: &mut rooms::Room,
    powers: &Powers,
) -> Result<(), Error> {
    if powers.user(&user.user_id) < powers.event("m.room.power_levels", true) {
        return Ok(());
    }
    let mut content = powers.content().clone();
    let level = |key: &str| content.get(key).and_then(Value::as_i64);
    let quiet = level("users_default").unwrap_or(0).saturating_add(50).max(50);
    let events_default = level("events_default").unwrap_or(0).max(quiet);
    let invite = level("invite").unwrap_or(0).max(quiet);
    content.insert("events_default".to_owned(), json!(events_default));
    content.insert("invite".to_owned(), json!(invite));
    let draft = Draft::state("m.room.power_levels", "", &user.user_id, content);
    match event::append(tx, home, old, &draft, ctx.now) {
        // Who may replace the room need not be able to raise every level.
        Ok(_) | Err(Error::Forbidden(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
