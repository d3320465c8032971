//! Personal settings for a room, which follow its members into the room that replaces it: push rules, tags, and whether
//! it is a direct chat. They are copied when a member first joins the new room; the old room keeps its own.
//! <https://spec.matrix.org/v1.18/client-server-api/#room-upgrades>

use reeve_db::{ReadTx, Tx};
use reeve_model::{Membership, UserNum};
use reeve_store::rooms::{self, Room};
use reeve_store::{account_data, events, memberships, users};
use ruma::push::{NewPushRule, RuleKind, Ruleset};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::power::PowerLevels;
use crate::push::{self, Place};
use crate::types;
use crate::{Home, data, event};

/// The type of the account data that lists direct chats: user ids with the rooms for each.
const DIRECT: &str = "m.direct";
/// The maximum number of upgrades in a row that a member can have missed.
const MAX_MISSED: usize = 10;

/// A room and the one that replaces it, by id.
#[derive(Clone, Copy)]
struct Rooms<'a> {
    old: &'a str,
    new: &'a str,
}

/// Copies the settings of a user who is about to join a room. It does so once for each user and room.
pub(crate) fn copy(tx: &mut Tx<'_>, home: &Home, room: &Room, user_id: &str) -> Result<(), Error> {
    let Some(user_num) = users::num(tx, user_id)? else { return Ok(()) };
    let Some(old) = left_behind(tx, room, user_id)? else { return Ok(()) };
    let earlier = events::history(tx, room.num, types::MEMBER, user_id)?;
    if earlier.iter().any(|event| event.membership == Some(Membership::Join)) {
        return Ok(());
    }
    let rooms = Rooms { old: &old.room_id, new: &room.room_id };
    // A limit on settings never keeps a user from joining.
    for copied in [
        copy_push_rules(tx, home, user_num, user_id, rooms),
        copy_tags(tx, home, user_num, rooms),
        copy_direct(tx, home, user_num, rooms),
    ] {
        match copied {
            Err(Error::Db(error)) => return Err(error.into()),
            Err(refused) => {
                tracing::info!(user_id, new = rooms.new, %refused, "settings for a room could not be copied");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Returns the nearest predecessor of a room that a user was ever in touch with.
fn left_behind(tx: &ReadTx<'_>, room: &Room, user_id: &str) -> Result<Option<Room>, Error> {
    let mut next = predecessor(tx, room)?;
    for _ in 0..MAX_MISSED {
        let Some(old) = next else { return Ok(None) };
        if memberships::find(tx, user_id, old.num)?.is_some() {
            return Ok(Some(old));
        }
        next = predecessor(tx, &old)?;
    }
    Ok(None)
}

/// The room that another claims to replace, if that is true: the old room names the new one, or the creator of the new
/// room may replace the old one. Else anybody could pass a room off as somebody's direct chat.
fn predecessor(tx: &ReadTx<'_>, room: &Room) -> Result<Option<Room>, Error> {
    let creation = event::state_content(tx, room, types::CREATE, "")?.unwrap_or_default();
    let old = creation.get("predecessor").and_then(|old| old.get("room_id")).and_then(Value::as_str);
    let Some(old) = old.map(|old| rooms::find(tx, old)).transpose()?.flatten() else { return Ok(None) };
    let tombstone = event::state_content(tx, &old, types::TOMBSTONE, "")?.unwrap_or_default();
    if tombstone.get("replacement_room").and_then(Value::as_str) == Some(&room.room_id) {
        return Ok(Some(old));
    }
    let powers = PowerLevels::of(tx, &old)?;
    Ok((powers.user(&room.creator) >= powers.event(types::TOMBSTONE, true)).then_some(old))
}

/// Copies the rules that are about a room: those of the kind for rooms, and those with a condition on the room id.
fn copy_push_rules(
    tx: &mut Tx<'_>,
    home: &Home,
    user_num: UserNum,
    user_id: &str,
    rooms: Rooms<'_>,
) -> Result<(), Error> {
    let Some(mut rules) = push::readable_rules(tx, user_num, user_id)? else { return Ok(()) };
    let before = rules.iter().count();
    let about = rules_about(&rules, rooms.old)?;
    let mut changed = false;
    for Rule { kind, json: rule } in about {
        let rule_id = rule.get("rule_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let enabled = rule.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        let copy = moved(rule, &rule_id, rooms);
        let new_id = copy.get("rule_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if rules.get(kind.clone(), &new_id).is_some() {
            continue;
        }
        let copy = Value::Object(copy);
        let copy = match kind {
            RuleKind::Room => serde_json::from_value(copy).map(NewPushRule::Room),
            RuleKind::Override => serde_json::from_value(copy).map(NewPushRule::Override),
            _ => serde_json::from_value(copy).map(NewPushRule::Underride),
        };
        push::put_rule(&mut rules, copy.map_err(Error::internal)?, Some(&Place::Before(rule_id)))?;
        rules.set_enabled(kind, &new_id, enabled).map_err(Error::internal)?;
        changed = true;
    }
    if changed { push::set_rules(tx, home, user_num, rules, before) } else { Ok(()) }
}

/// A push rule.
struct Rule {
    kind: RuleKind,
    json: Map<String, Value>,
}

/// The rules that a user made about a room.
fn rules_about(rules: &Ruleset, room_id: &str) -> Result<Vec<Rule>, Error> {
    let mut about = Vec::new();
    if let Some(rule) = rules.room.iter().find(|rule| rule.rule_id == room_id) {
        about.push((RuleKind::Room, serde_json::to_value(rule)));
    }
    for (kind, rules) in [(RuleKind::Override, &rules.override_), (RuleKind::Underride, &rules.underride)] {
        about.extend(
            rules.iter().filter(|rule| !rule.default).map(|rule| (kind.clone(), serde_json::to_value(rule))),
        );
    }
    let mut found = Vec::new();
    for (kind, rule) in about {
        let Value::Object(json) = rule.map_err(Error::internal)? else { continue };
        let mut conditions = json.get("conditions").and_then(Value::as_array).into_iter().flatten();
        if kind == RuleKind::Room || conditions.any(|condition| is_on_room(condition, room_id)) {
            found.push(Rule { kind, json });
        }
    }
    Ok(found)
}

/// True if a condition of a push rule asks for one room.
fn is_on_room(condition: &Value, room_id: &str) -> bool {
    condition.get("key").is_some_and(|key| key == "room_id")
        && ["pattern", "value"].iter().any(|name| condition.get(name).is_some_and(|value| value == room_id))
}

/// A rule about the old room as one about the new room, with an id of its own.
fn moved(mut rule: Map<String, Value>, rule_id: &str, Rooms { old, new }: Rooms<'_>) -> Map<String, Value> {
    let new_id = if rule_id.contains(old) { rule_id.replace(old, new) } else { format!("{rule_id}.{new}") };
    rule.insert("rule_id".to_owned(), json!(new_id));
    let conditions = rule.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter(|condition| is_on_room(condition, old)) {
        for name in ["pattern", "value"] {
            if let Some(value) = condition.get_mut(name) {
                *value = json!(new);
            }
        }
    }
    rule
}

fn copy_tags(
    tx: &mut Tx<'_>,
    home: &Home,
    user_num: UserNum,
    Rooms { old, new }: Rooms<'_>,
) -> Result<(), Error> {
    let tags = data::tags(tx, user_num, old)?;
    if tags.is_empty() || account_data::find(tx, user_num, new, data::TAGS)?.is_some() {
        return Ok(());
    }
    let content = Map::from_iter([("tags".to_owned(), Value::Object(tags))]);
    data::set(tx, &home.limits, user_num, new, data::TAGS, &content)
}

fn copy_direct(
    tx: &mut Tx<'_>,
    home: &Home,
    user_num: UserNum,
    Rooms { old, new }: Rooms<'_>,
) -> Result<(), Error> {
    let Some(Value::Object(mut direct)) = data::find(tx, user_num, "", DIRECT)? else { return Ok(()) };
    let mut changed = false;
    for rooms in direct.values_mut().filter_map(Value::as_array_mut) {
        let has = |room: &str| rooms.iter().any(|known| known == room);
        if has(old) && !has(new) {
            rooms.push(json!(new));
            changed = true;
        }
    }
    if changed { data::set(tx, &home.limits, user_num, "", DIRECT, &direct) } else { Ok(()) }
}
