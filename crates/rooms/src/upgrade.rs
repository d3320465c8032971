//! Upgrades of rooms to another version.
//! <https://spec.matrix.org/v1.18/client-server-api/#room-upgrades>

pub(crate) mod personal;

use reeve_db::Tx;
use reeve_model::{Ctx, Membership, Pos, User, random};
use reeve_store::events;
use reeve_store::rooms;
use ruma::UserId;
use ruma::room_version_rules::RoomVersionRules;
use serde_json::{Map, Value, json};

use crate::create::{self, NewRoom};
use crate::error::Error;
use crate::event::{self, Draft};
use crate::power::{self, PowerLevels};
use crate::types;
use crate::{Home, lifetimes, lookup, version};

/// The minimum level of users who were creators in a room where creators rank above all levels.
const CREATOR_LEVEL: i64 = 100;
/// The highest level: the largest integer of canonical JSON.
const MAX_LEVEL: i64 = (1 << 53) - 1;

/// State that is copied into the new room.
const TAKEN_OVER: [&str; 11] = [
    types::NAME,
    types::TOPIC,
    types::AVATAR,
    types::JOIN_RULES,
    types::GUEST_ACCESS,
    types::HISTORY_VISIBILITY,
    types::ENCRYPTION,
    types::SERVER_ACL,
    types::POWER_LEVELS,
    types::SPACE_CHILD,
    types::RETENTION,
];

/// An upgrade that a client requests.
#[derive(Clone, Copy)]
pub struct WantedUpgrade<'a> {
    /// The room to replace.
    pub room_id: &'a str,
    /// The version of the new room.
    pub version: &'a str,
    /// A list of user ids. Versions without additional creators ignore it.
    pub additional_creators: Option<&'a Value>,
}

/// Replaces a room by a new one of another version and returns the id of the new one.
pub fn upgrade(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    WantedUpgrade { room_id, version: new_version, additional_creators }: WantedUpgrade<'_>,
) -> Result<String, Error> {
    if user.suspended {
        return Err(Error::Suspended("Sending messages while account is suspended is not allowed."));
    }
    let rules = version::rules(new_version).ok_or(Error::UnsupportedVersion)?;
    let mut old = lookup::joined_room(tx, room_id, &user.user_id)?;
    let powers = PowerLevels::of(tx, &old)?;
    if powers.user(&user.user_id) < powers.event(types::TOMBSTONE, true) {
        return Err(Error::forbidden("You don't have permission to upgrade this room"));
    }
    if user.shadow_banned {
        return Ok(format!("!{}:{}", random::letters(18), home.server_name));
    }
    let old_rules = event::rules(&old)?;
    let creation = event::state_content(tx, &old, types::CREATE, "")?.unwrap_or_default();
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
    let mut creators = vec![user.user_id.as_str()];
    if rules.authorization.additional_room_creators
        && let Some(more) = additional_creators.filter(|more| !more.is_null())
    {
        creators.extend(user_ids(more)?);
        if creators.len() > 1 {
            creation_content.insert("additional_creators".to_owned(), more.clone());
        }
    }
    let mut initial_state = Vec::new();
    let mut lasting_powers = None;
    let mut bans = Vec::new();
    for state in events::all_state_at(tx, old.num, Pos::PRESENT)? {
        let content = event::content(&state, &old_rules)?;
        let state_key = state.state_key.clone().unwrap_or_default();
        if state.membership == Some(Membership::Ban) {
            bans.push((state_key, content));
            continue;
        }
        let taken = TAKEN_OVER.contains(&state.event_type.as_str())
            && (state.event_type != types::SPACE_CHILD || content.contains_key("via"))
            && (state.event_type != types::RETENTION || lifetimes::check_content(&content).is_ok());
        if !taken || content.is_empty() {
            continue;
        }
        let content = if state.event_type == types::POWER_LEVELS {
            let lasting = carried_powers(content, &powers, &creators, &rules);
            let privileged = rules.authorization.explicitly_privilege_room_creators;
            match raised(&lasting, &user.user_id).filter(|_| !privileged) {
                Some(raised) => {
                    lasting_powers = Some(lasting);
                    raised
                }
                None => lasting,
            }
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
        let draft = Draft::state(types::MEMBER, &target, &user.user_id, content);
        event::append(tx, home, &mut room, draft, ctx.now)?;
    }
    let tombstone = Map::from_iter([
        ("body".to_owned(), json!("This room has been replaced")),
        ("replacement_room".to_owned(), json!(room.room_id)),
    ]);
    let draft = Draft::state(types::TOMBSTONE, "", &user.user_id, tombstone);
    event::append(tx, home, &mut old, draft, ctx.now)?;

    // The aliases belong to the new room from now on.
    rooms::move_aliases(tx, old.num, room.num)?;
    if let Some(content) = event::state_content(tx, &old, types::CANONICAL_ALIAS, "")? {
        let draft = Draft::state(types::CANONICAL_ALIAS, "", &user.user_id, content);
        event::append(tx, home, &mut room, draft, ctx.now)?;
        if powers.user(&user.user_id) >= powers.event(types::CANONICAL_ALIAS, true) {
            let draft = Draft::state(types::CANONICAL_ALIAS, "", &user.user_id, Map::new());
            event::append(tx, home, &mut old, draft, ctx.now)?;
        }
    }
    if let Some(lasting) = lasting_powers {
        let draft = Draft::state(types::POWER_LEVELS, "", &user.user_id, lasting);
        event::append(tx, home, &mut room, draft, ctx.now)?;
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

/// Returns the user ids in a list.
fn user_ids(list: &Value) -> Result<Vec<&str>, Error> {
    let ids: Option<Vec<&str>> = list.as_array().and_then(|ids| ids.iter().map(Value::as_str).collect());
    ids.filter(|ids| ids.iter().all(|id| UserId::parse(*id).is_ok()))
        .ok_or_else(|| Error::BadContent("'additional_creators' must be a list of user ids".to_owned()))
}

/// Returns the power levels for the new room. Its creators rank above all levels there, or the creators of the old room
/// get a level above all others.
fn carried_powers(
    content: Map<String, Value>,
    old: &PowerLevels,
    new_creators: &[&str],
    rules: &RoomVersionRules,
) -> Map<String, Value> {
    let mut content = power::with_integers(content);
    let needed = highest_needed(&content);
    let usual = content.get("users_default").and_then(Value::as_i64).unwrap_or(0);
    let users = content.entry("users").or_insert_with(|| json!({}));
    let Value::Object(users) = users else { return content };
    if rules.authorization.explicitly_privilege_room_creators {
        users.retain(|user_id, _| !new_creators.contains(&user_id.as_str()));
        return content;
    }
    let privileged: Vec<&String> =
        old.creators().iter().filter(|user_id| old.is_privileged(user_id)).collect();
    if privileged.is_empty() {
        return content;
    }
    // Leaves a level free above the highest.
    for level in users.values_mut().filter(|level| level.as_i64() == Some(MAX_LEVEL)) {
        *level = json!(MAX_LEVEL - 1);
    }
    let highest = users.values().filter_map(Value::as_i64).max().unwrap_or(0).max(usual);
    let level = highest.saturating_add(1).max(needed).clamp(CREATOR_LEVEL, MAX_LEVEL);
    for user_id in privileged {
        users.insert(user_id.clone(), json!(level));
    }
    content
}

/// Returns the highest level that power levels ask for an action or event.
fn highest_needed(content: &Map<String, Value>) -> i64 {
    let events = content.get("events").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let actions = ["ban", "events_default", "invite", "kick", "redact", "state_default"];
    events
        .chain(actions.iter().filter_map(|action| content.get(*action)))
        .filter_map(Value::as_i64)
        .max()
        .unwrap_or(50)
}

/// Returns power levels with which a user can set the state of a new room; `None` if these suffice.
fn raised(content: &Map<String, Value>, user_id: &str) -> Option<Map<String, Value>> {
    let needed = highest_needed(content).max(CREATOR_LEVEL);
    let own =
        content.get("users").and_then(|users| users.get(user_id)).or_else(|| content.get("users_default"));
    if own.and_then(Value::as_i64).unwrap_or(0) >= needed {
        return None;
    }
    let mut raised = content.clone();
    let users = raised.entry("users").or_insert_with(|| json!({}));
    users.as_object_mut()?.insert(user_id.to_owned(), json!(needed));
    Some(raised)
}

/// Restricts sending in the old room to users with power.
fn restrict(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    old: &mut rooms::Room,
    powers: &PowerLevels,
) -> Result<(), Error> {
    if powers.user(&user.user_id) < powers.event(types::POWER_LEVELS, true) {
        return Ok(());
    }
    let mut content = power::with_integers(powers.content().clone());
    let level = |key: &str| content.get(key).and_then(Value::as_i64);
    let quiet = level("users_default").unwrap_or(0).saturating_add(50).max(50);
    let events_default = level("events_default").unwrap_or(0).max(quiet);
    let invite = level("invite").unwrap_or(0).max(quiet);
    content.insert("events_default".to_owned(), json!(events_default));
    content.insert("invite".to_owned(), json!(invite));
    let draft = Draft::state(types::POWER_LEVELS, "", &user.user_id, content);
    match event::append(tx, home, old, draft, ctx.now) {
        // A user who may replace the room need not be able to raise every level.
        Ok(_) | Err(Error::Forbidden(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
