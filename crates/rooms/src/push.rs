//! Push rules, and how many events in a room somebody has not read.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-rules>
//!
//! Most members have the default rules, by which an event notifies all of them or nobody. So it is noted with the event
//! whether it notifies everybody, and by itself only whom it notifies otherwise: who is mentioned, or has rules of their
//! own. What is unread is counted from that, and sending costs the same in a room of any size.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use futures_util::FutureExt;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_store::events::{self, Event};
use reeve_store::rooms::Room;
use reeve_store::{account_data, ephemeral, memberships, notifications, rooms, users};
use ruma::power_levels::NotificationPowerLevels;
use ruma::push::{
    Action, HighlightTweakValue, PushConditionPowerLevelsCtx, PushConditionRoomCtx, Ruleset, Tweak,
};
use ruma::room_version_rules::{AuthorizationRules, RoomPowerLevelsRules};
use ruma::serde::Raw;
use ruma::{Int, RoomId, UInt, UserId, user_id};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::event;
use crate::membership::Powers;

/// The type of the account data that holds the push rules.
pub const DATA_TYPE: &str = "m.push_rules";
/// How many mentioned users an event can notify.
const MOST_MENTIONED: usize = 1000;

/// The rules of whoever has none of their own, for somebody who is not mentioned.
static DEFAULT: LazyLock<Ruleset> = LazyLock::new(|| Ruleset::server_default(user_id!("@:nobody.invalid")));

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
    if let Some(user_id) = users::user_id(tx, user_num)? {
        notifications::set_with_rules(tx, &user_id)?;
    }
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
    fn add(&mut self, thread: Option<String>, notifying: i64, standing_out: i64) {
        let count = match thread {
            Some(thread) => self.threads.entry(thread).or_default(),
            None => &mut self.main,
        };
        count.notification_count += notifying;
        count.highlight_count += standing_out;
    }

    /// Inside and outside threads together.
    pub fn total(&self) -> Count {
        self.threads.values().fold(self.main, |sum, thread| Count {
            notification_count: sum.notification_count + thread.notification_count,
            highlight_count: sum.highlight_count + thread.highlight_count,
        })
    }
}

/// Decides which events of a room notify a member.
pub(crate) struct Evaluator<'r> {
    rules: &'r Ruleset,
    context: PushConditionRoomCtx,
}

impl<'r> Evaluator<'r> {
    /// For a member of a room.
    pub(crate) fn new(
        tx: &ReadTx<'_>,
        room: &Room,
        user_id: &str,
        rules: &'r Ruleset,
    ) -> Result<Self, Error> {
        let user_id = UserId::parse(user_id).map_err(Error::internal)?;
        let mut evaluator = Self::bare(tx, room, &user_id, rules, true)?;
        let member = event::state_content(tx, room, "m.room.member", user_id.as_str())?;
        let name = member.as_ref().and_then(|member| member.get("displayname")).and_then(Value::as_str);
        name.unwrap_or_default().clone_into(&mut evaluator.context.user_display_name);
        Ok(evaluator)
    }

    /// For somebody without a name; with the power levels only where they matter.
    fn bare(
        tx: &ReadTx<'_>,
        room: &Room,
        user_id: &UserId,
        rules: &'r Ruleset,
        with_powers: bool,
    ) -> Result<Self, Error> {
        let mut context = PushConditionRoomCtx::new(
            RoomId::parse(&room.room_id).map_err(Error::internal)?,
            UInt::try_from(room.joined_members).unwrap_or_default(),
            user_id.to_owned(),
            String::new(),
        );
        if with_powers {
            context = context.with_power_levels(power_levels(room, &Powers::of(tx, room)?)?);
        }
        Ok(Self { rules, context })
    }

    /// What the rules ask for at an event, given as JSON.
    pub(crate) fn actions(&self, json: &str) -> Result<&[Action], Error> {
        let raw: Raw<Value> = Raw::from_json_string(json.to_owned()).map_err(Error::internal)?;
        // Without conditions about thread subscriptions nothing is waited for.
        Ok(self.rules.get_actions(&raw, &self.context).now_or_never().unwrap_or(&[]))
    }

    /// Whether an event, given as JSON, notifies (1), stands out (2), or neither (0).
    fn evaluate(&self, json: &str) -> Result<i64, Error> {
        let actions = self.actions(json)?;
        let notifies = actions.iter().any(|action| matches!(action, Action::Notify));
        let highlights = actions
            .iter()
            .any(|action| matches!(action, Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes))));
        Ok(if notifies { 1 + i64::from(highlights) } else { 0 })
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

/// Decides whom a new event notifies: everybody in the same way, and some otherwise.
pub(crate) fn note(
    tx: &mut Tx<'_>,
    room: &Room,
    event: &Event,
    content: &Map<String, Value>,
) -> Result<i64, Error> {
    let mentions = content.get("m.mentions").and_then(Value::as_object);
    let mentions_room = mentions.and_then(|mentions| mentions.get("room")) == Some(&Value::Bool(true));
    let nobody = user_id!("@:nobody.invalid");
    let usual = Evaluator::bare(tx, room, nobody, &DEFAULT, mentions_room)?.evaluate(&event.json)?;
    let mut special = notifications::members_with_rules(tx, room.num)?;
    if event.membership.as_deref() == Some("invite") {
        special.extend(event.state_key.clone());
    }
    let with_rules = special.len();
    let mentioned = mentions.and_then(|mentions| mentions.get("user_ids")).and_then(Value::as_array);
    for user_id in mentioned.into_iter().flatten().filter_map(Value::as_str).take(MOST_MENTIONED) {
        let joined = || memberships::find(tx, user_id, room.num);
        if !special.iter().any(|other| other == user_id)
            && joined()?.is_some_and(|member| member.membership == "join")
        {
            special.push(user_id.to_owned());
        }
    }
    for (index, user_id) in special.iter().enumerate().filter(|(_, user_id)| **user_id != event.sender) {
        let Ok(parsed) = UserId::parse(user_id.as_str()) else { continue };
        let Some(num) = users::num(tx, user_id)? else { continue };
        let rules =
            if index < with_rules { rules(tx, num, user_id)? } else { Ruleset::server_default(&parsed) };
        let notifies = Evaluator::new(tx, room, user_id, &rules)?.evaluate(&event.json)?;
        if notifies != usual {
            notifications::insert(tx, user_id, room.num, event.pos, notifies)?;
        }
    }
    Ok(usual)
}

/// Up to where somebody has read a room.
pub(crate) struct Read {
    /// Everywhere in it.
    everywhere: i64,
    /// Further in some threads, by a receipt or by writing there; `None` stands outside threads.
    threads: BTreeMap<Option<String>, i64>,
}

impl Read {
    pub(crate) fn of(tx: &ReadTx<'_>, room_num: i64, user_id: &str) -> Result<Self, DbError> {
        let mut everywhere = memberships::find(tx, user_id, room_num)?.map_or(0, |member| member.since_pos);
        let mut threads = BTreeMap::new();
        for receipt in ephemeral::receipts_of_user(tx, room_num, user_id)? {
            match receipt.thread_id.as_str() {
                "" => everywhere = everywhere.max(receipt.event_pos),
                "main" => later(&mut threads, None, receipt.event_pos),
                _ => later(&mut threads, Some(receipt.thread_id), receipt.event_pos),
            }
        }
        for (thread, pos) in notifications::own(tx, user_id, room_num, everywhere)? {
            later(&mut threads, thread, pos);
        }
        threads.retain(|_, pos| *pos > everywhere);
        Ok(Self { everywhere, threads })
    }

    /// Whether it was read what stands at a position, in a thread or outside.
    pub(crate) fn covers(&self, thread: Option<&str>, pos: i64) -> bool {
        let mut threads = self.threads.iter();
        pos <= self.everywhere || threads.any(|(read, upto)| read.as_deref() == thread && pos <= *upto)
    }
}

/// What a member has not read in a room.
pub fn unread(tx: &ReadTx<'_>, room: &Room, user_id: &str) -> Result<Unread, Error> {
    let read = Read::of(tx, room.num, user_id)?;
    let mut unread = Unread::default();
    let usual = notifications::unread(tx, room.num, read.everywhere, user_id)?;
    for (thread, mut notifying, mut standing_out) in usual {
        if let Some(pos) = read.threads.get(&thread) {
            (notifying, standing_out) =
                notifications::unread_in(tx, room.num, *pos, user_id, thread.as_deref())?;
        }
        unread.add(thread, notifying, standing_out);
    }
    for exception in notifications::of_user(tx, user_id, room.num, read.everywhere)? {
        if read.covers(exception.thread.as_deref(), exception.pos) {
            continue;
        }
        let differs = |from: i64| i64::from(exception.notifies >= from) - i64::from(exception.usual >= from);
        unread.add(exception.thread.clone(), differs(1), differs(2));
    }
    unread.threads.retain(|_, count| *count != Count::default());
    Ok(unread)
}

fn later(read: &mut BTreeMap<Option<String>, i64>, thread: Option<String>, pos: i64) {
    let known = read.entry(thread).or_insert(pos);
    *known = (*known).max(pos);
}

/// An event that notified an account, its room, and whether it was read.
pub type Notification = (Event, Room, bool);

/// A page of the events that notified an account, the newest first, and where the list goes on.
pub fn notifications(
    tx: &ReadTx<'_>,
    user_id: &str,
    from: Option<i64>,
    limit: usize,
    highlights_only: bool,
) -> Result<(Vec<Notification>, Option<i64>), Error> {
    let needed = if highlights_only { 2 } else { 1 };
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let before = from.map_or(i64::MAX, |from| from.saturating_add(1));
    let mut found = Vec::new();
    for joined in memberships::of_user_in(tx, user_id, "join")? {
        let (num, since) = (joined.member.room_num, joined.member.since_pos);
        let Some(room) = rooms::by_num(tx, num)? else { continue };
        let receipts = ephemeral::receipts_of_user(tx, num, user_id)?;
        let read = receipts.iter().map(|receipt| receipt.event_pos).max().unwrap_or(0);
        for event in events::notifying(tx, user_id, num, (since, before), most)? {
            let notifies = notifications::one(tx, user_id, num, event.pos)?.unwrap_or(event.notifies);
            if notifies >= needed {
                let is_read = event.pos <= read;
                found.push((event, room.clone(), is_read));
            }
        }
    }
    found.sort_by_key(|(event, _, _)| -event.pos);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(event, _, _)| event.pos - 1);
    Ok((found, next))
}

/// Push rules as clients get them: with all kinds, also those of which there are none.
pub fn as_json(rules: &Ruleset) -> Result<Value, Error> {
    let mut value = serde_json::to_value(rules).map_err(Error::internal)?;
    if let Some(kinds) = value.as_object_mut() {
        for kind in ["override", "content", "room", "sender", "underride"] {
            kinds.entry(kind).or_insert_with(|| json!([]));
        }
    }
    Ok(value)
}

/// What a client is told that has no push rules stored.
pub fn as_account_data(tx: &ReadTx<'_>, user_num: i64, user_id: &str) -> Result<Value, Error> {
    Ok(json!({ "global": as_json(&rules(tx, user_num, user_id)?)? }))
}
