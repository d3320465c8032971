//! Push rules, and how many events in a room somebody has not read.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-rules>
//!
//! What is unread is not stored for each member: it is counted from the events after the last one that the member has
//! read, so that sending costs the same in a room of any size.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use reeve_db::{ReadTx, Tx};
use reeve_store::events::{self, Event};
use reeve_store::rooms::Room;
use reeve_store::{account_data, ephemeral, memberships};
use ruma::power_levels::NotificationPowerLevels;
use ruma::push::{Action, PushConditionPowerLevelsCtx, PushConditionRoomCtx, Ruleset, Tweak};
use ruma::room_version_rules::{AuthorizationRules, RoomPowerLevelsRules};
use ruma::serde::Raw;
use ruma::{Int, RoomId, UInt, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::event;
use crate::membership::Powers;

/// The type of the account data that holds the push rules.
pub const DATA_TYPE: &str = "m.push_rules";
/// How many of the newest events are looked at for what is unread.
const MOST_UNREAD: i64 = 1000;

#[derive(Deserialize, Serialize)]
struct Stored {
    global: Ruleset,
}

/// The push rules of an account: the stored ones, or the default.
pub fn rules(tx: &ReadTx<'_>, user_num: i64, user_id: &str) -> Result<Ruleset, Error> {
    let user_id = UserId::parse(user_id).map_err(Error::internal)?;
    let default = Ruleset::server_default(&user_id);
    let Some(stored) = account_data::find(tx, user_num, "", DATA_TYPE)? else { return Ok(default) };
    let Stored { global: mut rules } = serde_json::from_str(&stored).map_err(Error::internal)?;
    // Rules that the specification has added since.
    rules.update_with_server_default(default);
    Ok(rules)
}

/// Replaces the push rules of an account.
pub fn set_rules(tx: &mut Tx<'_>, user_num: i64, rules: Ruleset) -> Result<(), Error> {
    let stored = serde_json::to_string(&Stored { global: rules }).map_err(Error::internal)?;
    Ok(account_data::put(tx, user_num, "", DATA_TYPE, &stored)?)
}

/// How many events somebody has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Those that notify.
    pub notification_count: i64,
    /// Those that also stand out.
    pub highlight_count: i64,
}

/// What somebody has not read in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Outside threads.
    pub main: Count,
    /// In threads, by their root.
    pub threads: BTreeMap<String, Count>,
}

impl Unread {
    /// Inside and outside threads together.
    pub fn total(&self) -> Count {
        self.threads.values().fold(self.main, |sum, thread| Count {
            notification_count: sum.notification_count + thread.notification_count,
            highlight_count: sum.highlight_count + thread.highlight_count,
        })
    }
}

/// Decides which events of a room notify a member.
pub struct Evaluator<'r> {
    rules: &'r Ruleset,
    context: PushConditionRoomCtx,
}

impl<'r> Evaluator<'r> {
    /// For a member of a room.
    pub fn new(tx: &ReadTx<'_>, room: &Room, user_id: &str, rules: &'r Ruleset) -> Result<Self, Error> {
        let member = event::state_content(tx, room, "m.room.member", user_id)?;
        let name = member.as_ref().and_then(|member| member.get("displayname")).and_then(Value::as_str);
        let context = PushConditionRoomCtx::new(
            RoomId::parse(&room.room_id).map_err(Error::internal)?,
            UInt::try_from(room.joined_members).unwrap_or_default(),
            UserId::parse(user_id).map_err(Error::internal)?,
            name.unwrap_or_default().to_owned(),
        );
        let powers = Powers::of(tx, room)?;
        let context = context.with_power_levels(power_levels(room, &powers)?);
        Ok(Self { rules, context })
    }

    /// Whether an event notifies, and whether it stands out.
    pub fn evaluate(&self, stored: &Event) -> Result<(bool, bool), Error> {
        if stored.redacted_by.is_some() {
            return Ok((false, false));
        }
        let raw: Raw<Value> = Raw::from_json_string(stored.json.clone()).map_err(Error::internal)?;
        // Without conditions about thread subscriptions nothing is waited for.
        let actions = self.rules.get_actions(&raw, &self.context).now_or_never().unwrap_or(&[]);
        let notifies = actions.iter().any(|action| matches!(action, Action::Notify));
        let highlights = actions.iter().any(|action| match action {
            Action::SetTweak(Tweak::Highlight(value)) => *value == ruma::push::HighlightTweakValue::Yes,
            _ => false,
        });
        Ok((notifies, highlights))
    }
}

fn power_levels(room: &Room, powers: &Powers) -> Result<PushConditionPowerLevelsCtx, Error> {
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

/// What a member has not read in a room, counting the newest events only if there are very many.
pub fn unread(tx: &ReadTx<'_>, room: &Room, user_id: &str, rules: &Ruleset) -> Result<Unread, Error> {
    let receipts = ephemeral::receipts_of_user(tx, room.num, user_id)?;
    let everywhere =
        receipts.iter().filter(|receipt| receipt.thread_id.is_empty()).map(|receipt| receipt.event_pos).max();
    let joined = memberships::find(tx, user_id, room.num)?.map_or(0, |member| member.since_pos);
    let everywhere = everywhere.unwrap_or(joined).max(joined);
    let newest = events::before(tx, room.num, i64::MAX, everywhere, MOST_UNREAD)?;
    let mut unread = Unread::default();
    if newest.iter().all(|event| event.sender == user_id) {
        return Ok(unread);
    }
    let evaluator = Evaluator::new(tx, room, user_id, rules)?;
    for event in newest.iter().rev() {
        let root =
            if event.rel_type.as_deref() == Some("m.thread") { event.relates_to.as_deref() } else { None };
        if event.sender == user_id {
            // Who writes has read what is above.
            match root {
                Some(root) => drop(unread.threads.remove(root)),
                None => unread.main = Count::default(),
            }
            continue;
        }
        let thread_id = root.unwrap_or("main");
        let read = receipts
            .iter()
            .filter(|receipt| receipt.thread_id == thread_id)
            .map(|receipt| receipt.event_pos)
            .max();
        if read.is_some_and(|read| event.pos <= read) {
            continue;
        }
        let (notifies, highlights) = evaluator.evaluate(event)?;
        if !notifies {
            continue;
        }
        let count = match root {
            Some(root) => unread.threads.entry(root.to_owned()).or_default(),
            None => &mut unread.main,
        };
        count.notification_count += 1;
        count.highlight_count += i64::from(highlights);
    }
    Ok(unread)
}

/// A page of the events that notified an account, the newest first: the event, its room, and whether it was read.
pub fn notifications(
    tx: &ReadTx<'_>,
    (user_num, user_id): (i64, &str),
    from: Option<i64>,
    limit: usize,
    highlights_only: bool,
) -> Result<(Vec<(Event, Room, bool)>, Option<i64>), Error> {
    let rules = rules(tx, user_num, user_id)?;
    let mut candidates = Vec::new();
    for joined in memberships::of_user_in(tx, user_id, "join")? {
        let before = from.map_or(i64::MAX, |from| from.saturating_add(1));
        let since = joined.member.since_pos;
        let newest = events::before(tx, joined.member.room_num, before, since, 100)?;
        let Some(room) = reeve_store::rooms::by_num(tx, joined.member.room_num)? else { continue };
        let evaluator = Evaluator::new(tx, &room, user_id, &rules)?;
        let receipts = ephemeral::receipts_of_user(tx, room.num, user_id)?;
        let read = receipts.iter().map(|receipt| receipt.event_pos).max().unwrap_or(0);
        for event in newest.into_iter().filter(|event| event.sender != user_id) {
            let (notifies, highlights) = evaluator.evaluate(&event)?;
            if notifies && (highlights || !highlights_only) {
                let is_read = event.pos <= read;
                candidates.push((event, room.clone(), is_read));
            }
        }
    }
    candidates.sort_by_key(|(event, _, _)| -event.pos);
    let more = candidates.len() > limit;
    candidates.truncate(limit);
    let next = candidates.last().filter(|_| more).map(|(event, _, _)| event.pos - 1);
    Ok((candidates, next))
}

/// What a client is told that has no push rules stored.
pub fn as_account_data(tx: &ReadTx<'_>, user_num: i64, user_id: &str) -> Result<Value, Error> {
    let stored = Stored { global: rules(tx, user_num, user_id)? };
    serde_json::to_value(stored).map_err(Error::internal)
}
