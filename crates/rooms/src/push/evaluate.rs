//! Evaluation of push rules.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-rules>
//!
//! An event is parsed once, however many users have rules.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;

use reeve_db::ReadTx;
use reeve_model::Effect;
use reeve_store::memberships;
use reeve_store::rooms::Room;
use ruma::power_levels::{NotificationPowerLevels, NotificationPowerLevelsKey};
use ruma::push::{
    Action, AnyPushRuleRef, ConditionalPushRule, HighlightTweakValue, PushCondition,
    PushConditionPowerLevelsCtx, Ruleset, ScalarJsonValue, Tweak,
};
use ruma::room_version_rules::{AuthorizationRules, RoomPowerLevelsRules};
use ruma::{Int, UInt, UserId};
use serde_json::{Value, json};

use super::{defaults, names};
use crate::error::Error;
use crate::event;
use crate::glob::{self, Anchor};
use crate::power::PowerLevels;
use crate::types;

const BODY: &str = "content.body";
/// The maximum number of members whom one message mentions by name.
const MAX_NAMED: i64 = 1000;

/// An event in a room, to be evaluated with the rules of many users.
pub(crate) struct Subject<'t, 'c> {
    tx: &'t ReadTx<'c>,
    room: &'t Room,
    sender: &'t str,
    /// The event; an empty object if it cannot be parsed.
    event: Value,
    /// The text of a message, in lower case.
    body: Option<String>,
    /// True if the event has `m.mentions`.
    has_mentions: bool,
    powers: OnceCell<PushConditionPowerLevelsCtx>,
    named: OnceCell<Named>,
}

/// The members whom the text of a message may name.
#[derive(Default)]
pub(super) struct Named {
    pub(super) members: BTreeSet<String>,
    /// True if the list is complete.
    is_whole: bool,
}

impl<'t, 'c> Subject<'t, 'c> {
    /// Parses an event, given as JSON.
    pub(crate) fn new(tx: &'t ReadTx<'c>, room: &'t Room, sender: &'t str, json: &str) -> Self {
        let event: Value = serde_json::from_str(json).unwrap_or_default();
        let body = find(&event, BODY).and_then(Value::as_str).map(str::to_lowercase);
        let has_mentions = event.pointer("/content/m.mentions").is_some();
        Self { tx, room, sender, event, body, has_mentions, powers: OnceCell::new(), named: OnceCell::new() }
    }

    /// Returns the actions of a user's rules.
    pub(crate) fn actions<'r>(&self, rules: &'r Ruleset, user_id: &str) -> Result<&'r [Action], Error> {
        if user_id == self.sender {
            return Ok(&[]);
        }
        for rule in rules {
            if self.is_met(rule, user_id)? {
                return Ok(rule.actions());
            }
        }
        Ok(&[])
    }

    /// Returns the effect of the event on a user with some rules.
    pub(super) fn effect(&self, rules: &Ruleset, user_id: &str) -> Result<Effect, Error> {
        let actions = self.actions(rules, user_id)?;
        let notifies = actions.iter().any(|action| matches!(action, Action::Notify));
        let highlights = actions
            .iter()
            .any(|action| matches!(action, Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes))));
        Ok(match (notifies, highlights) {
            (false, _) => Effect::Nothing,
            (true, false) => Effect::Notifies,
            (true, true) => Effect::Highlights,
        })
    }

    /// Returns the members whose name in the room or localpart the text of a message may contain; all of them, unless
    /// there are very many.
    pub(super) fn named(&self) -> Result<&Named, Error> {
        if let Some(named) = self.named.get() {
            return Ok(named);
        }
        let named = match &self.body {
            None => Named { is_whole: true, ..Named::default() },
            Some(body) => {
                let words = json!(names::words(body)).to_string();
                let found = memberships::named(self.tx, self.room.num, &words, MAX_NAMED)?;
                let is_whole = i64::try_from(found.len()).is_ok_and(|found| found < MAX_NAMED);
                Named { members: found.into_iter().collect(), is_whole }
            }
        };
        Ok(self.named.get_or_init(|| named))
    }

    fn is_met(&self, rule: AnyPushRuleRef<'_>, user_id: &str) -> Result<bool, Error> {
        if self.has_mentions && defaults::rests_with_mentions(rule.rule_id()) {
            return Ok(false);
        }
        Ok(match rule {
            AnyPushRuleRef::Override(rule) | AnyPushRuleRef::Underride(rule) => {
                self.all_are_met(rule, user_id)?
            }
            AnyPushRuleRef::Content(rule) => rule.enabled && self.is_like(BODY, &rule.pattern),
            AnyPushRuleRef::Room(rule) => rule.enabled && rule.rule_id.as_str() == self.room.room_id,
            AnyPushRuleRef::Sender(rule) => rule.enabled && rule.rule_id.as_str() == self.sender,
            _ => false,
        })
    }

    fn all_are_met(&self, rule: &ConditionalPushRule, user_id: &str) -> Result<bool, Error> {
        if !rule.enabled {
            return Ok(false);
        }
        for condition in &rule.conditions {
            if !self.meets(condition, user_id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns true if a condition is met. An unknown condition never is.
    fn meets(&self, condition: &PushCondition, user_id: &str) -> Result<bool, Error> {
        Ok(match condition {
            PushCondition::EventMatch(matched) => self.is_like(&matched.key, &matched.pattern),
            PushCondition::EventPropertyIs(is) => {
                find(&self.event, &is.key).is_some_and(|found| is_scalar(found, &is.value))
            }
            PushCondition::EventPropertyContains(contains) => {
                let found = find(&self.event, &contains.key).and_then(Value::as_array);
                found.is_some_and(|found| found.iter().any(|item| is_scalar(item, &contains.value)))
            }
            PushCondition::RoomMemberCount(count) => {
                let members = UInt::try_from(self.room.joined_members).unwrap_or_default();
                std::ops::RangeBounds::contains(&count.is, &members)
            }
            PushCondition::SenderNotificationPermission(permission) => self.may_notify(&permission.key)?,
            other if other.kind() == "contains_display_name" => self.names(user_id)?,
            _ => false,
        })
    }

    /// Returns true if a property matches a pattern: a part of the text of a message, or another property as a whole.
    fn is_like(&self, key: &str, pattern: &str) -> bool {
        if key == BODY {
            let body = self.body.as_deref();
            return body.is_some_and(|body| glob::matches(&pattern.to_lowercase(), body, Anchor::Words));
        }
        // An event need not contain its room.
        let found = match key {
            "room_id" => Some(self.room.room_id.as_str()),
            _ => find(&self.event, key).and_then(Value::as_str),
        };
        let Some(found) = found else { return false };
        if pattern.contains(['*', '?']) || !pattern.is_ascii() {
            glob::matches(&pattern.to_lowercase(), &found.to_lowercase(), Anchor::Whole)
        } else {
            found.eq_ignore_ascii_case(pattern)
        }
    }

    /// Returns true if the text of a message contains the name of a user in the room.
    fn names(&self, user_id: &str) -> Result<bool, Error> {
        let Some(body) = &self.body else { return Ok(false) };
        let named = self.named()?;
        if named.is_whole && !named.members.contains(user_id) {
            return Ok(false);
        }
        let member = event::state_content(self.tx, self.room, types::MEMBER, user_id)?;
        let name = member.as_ref().and_then(|member| member.get("displayname")).and_then(Value::as_str);
        Ok(name.is_some_and(|name| !name.trim().is_empty() && glob::contains(&name.to_lowercase(), body)))
    }

    /// Returns true if the sender may notify the whole room.
    fn may_notify(&self, key: &NotificationPowerLevelsKey) -> Result<bool, Error> {
        let powers = if let Some(powers) = self.powers.get() {
            powers
        } else {
            let powers = power_levels(self.room, &PowerLevels::of(self.tx, self.room)?)?;
            self.powers.get_or_init(|| powers)
        };
        let sender = UserId::parse(self.sender).ok();
        Ok(sender.is_some_and(|sender| powers.has_sender_notification_permission(&sender, key)))
    }
}

/// Returns the value at a path of an event, whose parts are separated by dots.
/// <https://spec.matrix.org/v1.18/appendices/#dot-separated-property-paths>
fn find<'v>(event: &'v Value, path: &str) -> Option<&'v Value> {
    let (mut found, mut rest) = (event, Some(path));
    while let Some(path) = rest {
        let (part, after) = first_part(path);
        found = found.get(&*part)?;
        rest = after;
    }
    Some(found)
}

/// Returns the first part of a path, and the rest after its dot. A dot or backslash after a backslash is a part of the
/// name.
fn first_part(path: &str) -> (Cow<'_, str>, Option<&str>) {
    let plain = path.split_once('.').map_or((path, None), |(part, rest)| (part, Some(rest)));
    if !plain.0.contains('\\') {
        return (Cow::Borrowed(plain.0), plain.1);
    }
    let (mut part, mut chars) = (String::new(), path.chars());
    while let Some(c) = chars.next() {
        match c {
            '.' => return (Cow::Owned(part), Some(chars.as_str())),
            '\\' => {
                let mut after = chars.clone();
                match after.next() {
                    Some(escaped @ ('.' | '\\')) => {
                        part.push(escaped);
                        chars = after;
                    }
                    _ => part.push('\\'),
                }
            }
            c => part.push(c),
        }
    }
    (Cow::Owned(part), None)
}

fn is_scalar(value: &Value, scalar: &ScalarJsonValue) -> bool {
    match (value, scalar) {
        (Value::Null, ScalarJsonValue::Null) => true,
        (Value::Bool(value), ScalarJsonValue::Bool(scalar)) => value == scalar,
        (Value::Number(value), ScalarJsonValue::Integer(scalar)) => {
            value.as_i64() == Some(i64::from(*scalar))
        }
        (Value::String(value), ScalarJsonValue::String(scalar)) => value == scalar,
        _ => false,
    }
}

fn power_levels(room: &Room, powers: &PowerLevels) -> Result<PushConditionPowerLevelsCtx, Error> {
    let authorization: AuthorizationRules = event::rules(room)?.authorization;
    let creators = powers.creators().iter().filter_map(|creator| UserId::parse(creator.as_str()).ok());
    let rules = RoomPowerLevelsRules::new(&authorization, creators);
    let content = powers.content();
    let int = |value: &Value| value.as_i64().and_then(|value| Int::try_from(value).ok());
    let users = content.get("users").and_then(Value::as_object).into_iter().flatten();
    let users = users
        .filter_map(|(user_id, level)| Some((UserId::parse(user_id.as_str()).ok()?, int(level)?)))
        .collect();
    let users_default = content.get("users_default").and_then(int).unwrap_or_default();
    let mut notifications = NotificationPowerLevels::default();
    if let Some(level) = content.get("notifications").and_then(|levels| levels.get("room")).and_then(int) {
        notifications.room = level;
    }
    Ok(PushConditionPowerLevelsCtx::new(users, users_default, notifications, rules))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths() {
        let event = json!({ "a": { "b.c": 1, "d\\": { "e": 2 }, "\\f": 3 }, "": { "": 4 } });
        for (path, expected) in
            [(r"a.b\.c", json!(1)), (r"a.d\\.e", json!(2)), (r"a.\f", json!(3)), (".", json!(4))]
        {
            assert_eq!(find(&event, path), Some(&expected), "{path}");
        }
        for path in ["a.b.c", "a.b", "x", "a.d\\.e.f", ""] {
            assert!(find(&event, path).is_none_or(Value::is_object), "{path}");
        }
    }
}
