//! Power levels.
//! <https://spec.matrix.org/v1.18/client-server-api/#mroompower_levels>

use reeve_db::ReadTx;
use reeve_store::rooms::Room;
use ruma::UserId;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::event;
use crate::types;

/// The keys of power levels that are levels, and those that are lists of levels.
const LEVELS: [&str; 7] =
    ["ban", "events_default", "invite", "kick", "redact", "state_default", "users_default"];
const LISTS_OF_LEVELS: [&str; 3] = ["events", "notifications", "users"];

/// The power levels of a room.
#[derive(Debug)]
pub(crate) struct PowerLevels {
    content: Map<String, Value>,
    creators: Vec<String>,
    /// True if creators rank above every level.
    privileged: bool,
}

/// Reads a power level in the forms of all room versions.
fn level(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Checks the shape of power levels in a request: all levels are integers, whatever older room versions allow.
pub(crate) fn check_levels(content: &Map<String, Value>) -> Result<(), Error> {
    let not_integer = |key: &str| Error::BadContent(format!("The power level '{key}' must be an integer"));
    for key in LEVELS {
        if content.get(key).is_some_and(|level| !level.is_i64()) {
            return Err(not_integer(key));
        }
    }
    for key in LISTS_OF_LEVELS {
        match content.get(key) {
            None => {}
            Some(Value::Object(levels)) => {
                if let Some((key, _)) = levels.iter().find(|(_, level)| !level.is_i64()) {
                    return Err(not_integer(key));
                }
            }
            Some(_) => return Err(Error::BadContent(format!("'{key}' of power levels must be an object"))),
        }
    }
    let users = content.get("users").and_then(Value::as_object);
    match users.into_iter().flat_map(Map::keys).find(|user_id| UserId::parse(user_id.as_str()).is_err()) {
        Some(bad) => Err(Error::Refused(format!("Not a valid user_id: {bad}"))),
        None => Ok(()),
    }
}

/// Returns power levels with integers only. Older room versions allow strings, and invalid levels.
pub(crate) fn with_integers(mut content: Map<String, Value>) -> Map<String, Value> {
    let normalise = |levels: &mut Map<String, Value>, is_level: &dyn Fn(&str) -> bool| {
        levels.retain(|key, value| {
            if is_level(key) {
                let integer = level(Some(value));
                *value = json!(integer);
                return integer.is_some();
            }
            true
        });
    };
    for key in LISTS_OF_LEVELS {
        match content.get_mut(key) {
            None => {}
            Some(Value::Object(levels)) => normalise(levels, &|_| true),
            Some(_) => drop(content.shift_remove(key)),
        }
    }
    normalise(&mut content, &|key| LEVELS.contains(&key));
    content
}

impl PowerLevels {
    /// Returns the present power levels of a room.
    pub(crate) fn of(tx: &ReadTx<'_>, room: &Room) -> Result<Self, Error> {
        let rules = event::rules(room)?;
        let powers = event::state_content(tx, room, types::POWER_LEVELS, "")?;
        let privileged = rules.authorization.explicitly_privilege_room_creators;
        let mut creators = vec![room.creator.clone()];
        if rules.authorization.additional_room_creators
            && let Some(create) = event::state_content(tx, room, types::CREATE, "")?
            && let Some(more) = create.get("additional_creators").and_then(Value::as_array)
        {
            creators.extend(more.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        // Without power levels, only the creator has power.
        let content = powers.unwrap_or_else(|| {
            let users = if privileged { json!({}) } else { json!({ &room.creator: 100 }) };
            let mut content = Map::new();
            content.insert("users".to_owned(), users);
            content.insert("state_default".to_owned(), json!(0));
            content
        });
        Ok(Self { content, creators, privileged })
    }

    /// Returns the level of a user; the largest number for a creator who ranks above all.
    pub(crate) fn user(&self, user_id: &str) -> i64 {
        if self.privileged && self.creators.iter().any(|creator| creator == user_id) {
            return i64::MAX;
        }
        let users = self.content.get("users").and_then(Value::as_object);
        users
            .and_then(|users| level(users.get(user_id)))
            .or_else(|| level(self.content.get("users_default")))
            .unwrap_or(0)
    }

    /// Returns the level that an action (`ban`, `kick`, `redact`, `invite`) needs.
    pub(crate) fn action(&self, action: &str) -> i64 {
        level(self.content.get(action)).unwrap_or(if action == "invite" { 0 } else { 50 })
    }

    /// Returns the level that sending an event needs.
    pub(crate) fn event(&self, event_type: &str, is_state: bool) -> i64 {
        let events = self.content.get("events").and_then(Value::as_object);
        let default = if is_state { ("state_default", 50) } else { ("events_default", 0) };
        events
            .and_then(|events| level(events.get(event_type)))
            .or_else(|| level(self.content.get(default.0)))
            .unwrap_or(default.1)
    }

    /// The content of the power levels event.
    pub(crate) fn content(&self) -> &Map<String, Value> {
        &self.content
    }

    /// The creators of the room.
    pub(crate) fn creators(&self) -> &[String] {
        &self.creators
    }

    /// Returns true if a user is a creator who ranks above every level.
    pub(crate) fn is_privileged(&self, user_id: &str) -> bool {
        self.privileged && self.creators.iter().any(|creator| creator == user_id)
    }
}

/// Returns true if a member may redact the events of others.
pub(crate) fn may_redact(tx: &ReadTx<'_>, room: &Room, user_id: &str) -> Result<bool, Error> {
    let powers = PowerLevels::of(tx, room)?;
    Ok(powers.user(user_id) >= powers.action("redact"))
}
