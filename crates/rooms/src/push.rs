//! Push rules, and counts of unread events.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-rules>
//!
//! Most members have the default rules, by which an event notifies all of them or nobody. So each event stores whether
//! it notifies everybody. Only exceptions get rows: users who are mentioned or have rules of their own, and intervals
//! in which a user's rules mute a room that notifies everybody else. Unread events are counted from these, and sending
//! costs the same in a room of any size.

mod defaults;
mod evaluate;
pub mod names;
mod order;
mod rule_cache;

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::LazyLock;

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Effect, Membership, Pos, RoomNum, UserNum};
use reeve_store::events::{self, Event};
use reeve_store::notifications::{Counts, Notifying, Wanted};
use reeve_store::rooms::Room;
use reeve_store::silences::Silence;
use reeve_store::stream::Span;
use reeve_store::{account_data, ephemeral, memberships, notifications, rooms, silences, users};
use ruma::push::Ruleset;
use ruma::{UserId, user_id};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(crate) use self::evaluate::Subject;
pub use self::order::{Place, put_rule};
use self::rule_cache::Member;
pub use self::rule_cache::PushRuleCache;
use crate::Home;
use crate::error::Error;

/// The type of the account data that holds the push rules.
pub const DATA_TYPE: &str = "m.push_rules";
/// The maximum number of mentioned users that an event can notify.
const MAX_MENTIONED: usize = 1000;
/// The maximum size of the rules of an account, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// The default rules, for a user who is not mentioned.
static DEFAULT: LazyLock<Ruleset> = LazyLock::new(|| defaults::of_nobody(user_id!("@:nobody.invalid")));

#[derive(Deserialize, Serialize)]
struct Stored {
    global: Ruleset,
}

/// Parses stored rules and adds the ones that the specification has added since; `None` if they cannot be read.
fn parse(stored: &str, user_id: &UserId) -> Option<Ruleset> {
    let Stored { global: mut rules } = serde_json::from_str(stored).ok()?;
    rules.update_with_server_default(defaults::of(user_id));
    Some(rules)
}

/// Returns the push rules of an account, stored or default; `None` if they cannot be read.
pub(crate) fn readable_rules(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    user_id: &str,
) -> Result<Option<Ruleset>, Error> {
    let user_id = UserId::parse(user_id).map_err(Error::internal)?;
    Ok(match account_data::find(tx, user_num, "", DATA_TYPE)? {
        None => Some(defaults::of(&user_id)),
        Some(stored) => parse(&stored, &user_id),
    })
}

/// Returns the push rules of an account, stored or default.
pub fn rules(tx: &ReadTx<'_>, user_num: UserNum, user_id: &str) -> Result<Ruleset, Error> {
    readable_rules(tx, user_num, user_id)?.ok_or_else(|| Error::internal("push rules cannot be read"))
}

/// Replaces the push rules of an account. Of `before` rules it keeps as many, even beyond the limit.
pub fn set_rules(
    tx: &mut Tx<'_>,
    home: &Home,
    user_num: UserNum,
    rules: Ruleset,
    before: usize,
) -> Result<(), Error> {
    let (count, most) = (rules.iter().count(), home.limits.push_rules);
    let stored = serde_json::to_string(&Stored { global: rules }).map_err(Error::internal)?;
    if count > before && i64::try_from(count).unwrap_or(i64::MAX) > most {
        return Err(reeve_accounts::Error::too_many("An account", most, "push rules").into());
    }
    if stored.len() > MAX_BYTES {
        return Err(reeve_accounts::Error::too_long("The push rules of an account", MAX_BYTES).into());
    }
    if let Some(user_id) = users::user_id(tx, user_num)? {
        notifications::set_with_rules(tx, &user_id)?;
    }
    account_data::put(tx, user_num, "", DATA_TYPE, &stored)?;
    Ok(())
}

/// Numbers of unread events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Events that notify.
    pub notification_count: i64,
    /// Highlights among them.
    pub highlight_count: i64,
}

/// The unread events of a user in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Outside threads.
    pub main: Count,
    /// In threads, by their root.
    pub threads: BTreeMap<String, Count>,
}

impl Unread {
    fn add(&mut self, thread: Option<String>, Counts { notifying, highlights }: Counts) {
        let count = match thread {
            Some(thread) => self.threads.entry(thread).or_default(),
            None => &mut self.main,
        };
        count.notification_count += notifying;
        count.highlight_count += highlights;
    }

    /// The sum inside and outside threads.
    pub fn total(&self) -> Count {
        self.threads.values().fold(self.main, |sum, thread| Count {
            notification_count: sum.notification_count + thread.notification_count,
            highlight_count: sum.highlight_count + thread.highlight_count,
        })
    }
}

/// Decides the effect of a new event on everybody, returns it, and stores the exceptions.
pub(crate) fn note(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &Room,
    event: &Event,
    content: &Map<String, Value>,
) -> Result<Effect, Error> {
    let members = home.push_rules.members(tx, room.num)?;
    let subject = Subject::new(tx, room, &event.sender, &event.json);
    let mut verdicts = Verdicts { usual: subject.effect(&DEFAULT, "")?, ..Verdicts::default() };
    let mut decided = HashSet::from([event.sender.clone()]);
    let silent = if members.is_empty() { Vec::new() } else { silences::lasting_in(tx, room.num)? };
    let silent: HashSet<String> = silent.into_iter().collect();
    for Member { user_id, rules } in members {
        if decided.insert(user_id.clone()) {
            verdicts.add_member(&user_id, silent.contains(&user_id), subject.effect(&rules, &user_id)?);
        }
    }
    // An invited user is no member yet.
    let invited = event.state_key.clone().filter(|_| event.membership == Some(Membership::Invite));
    if let Some(user_id) = invited
        && let Some(num) = users::num(tx, &user_id)?
        && decided.insert(user_id.clone())
    {
        let rules = readable_rules(tx, num, &user_id)?.unwrap_or_default();
        verdicts.add(&user_id, subject.effect(&rules, &user_id)?);
    }
    let mentioned = content.get("m.mentions").and_then(|mentions| mentions.get("user_ids"));
    let mentioned = mentioned.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut mentioned: BTreeSet<&str> = mentioned.take(MAX_MENTIONED).collect();
    // A message without `m.mentions` mentions members whose names it contains.
    if !content.contains_key("m.mentions") {
        mentioned.extend(subject.named()?.members.iter().map(String::as_str));
    }
    for user_id in mentioned.into_iter().filter(|user_id| !decided.contains(*user_id)) {
        let Ok(parsed) = UserId::parse(user_id) else { continue };
        if memberships::find(tx, user_id, room.num)?
            .is_some_and(|member| member.membership == Membership::Join)
        {
            verdicts.add(user_id, subject.effect(&defaults::of(&parsed), user_id)?);
        }
    }
    for (effect, user_ids) in verdicts.exceptions {
        notifications::insert(tx, &user_ids, room.num, event.pos, effect)?;
    }
    silences::end(tx, &verdicts.ended, room.num, event.pos.prev())?;
    let from = event.pos;
    silences::insert(tx, &verdicts.silenced, room.num, Silence { from, upto: from })?;
    silences::insert(tx, &verdicts.begun, room.num, Silence { from, upto: Pos::END })?;
    Ok(verdicts.usual)
}

/// The effects of an event on users, as far as they are stored.
#[derive(Default)]
struct Verdicts {
    /// The effect on everybody.
    usual: Effect,
    /// Users for whom it has another effect, by effect.
    exceptions: BTreeMap<Effect, Vec<String>>,
    /// Members whose mute interval begins with it.
    begun: Vec<String>,
    /// Others whom it does not notify although it notifies everybody.
    silenced: Vec<String>,
    /// Members whose mute interval it ends.
    ended: Vec<String>,
}

impl Verdicts {
    /// Adds a member whose rules are evaluated with each event in the room.
    fn add_member(&mut self, user_id: &str, is_silent: bool, effect: Effect) {
        match effect {
            Effect::Nothing => {
                if !is_silent && self.usual > Effect::Nothing {
                    self.begun.push(user_id.to_owned());
                }
            }
            Effect::Notifies | Effect::Highlights => {
                if is_silent {
                    self.ended.push(user_id.to_owned());
                }
                self.add(user_id, effect);
            }
        }
    }

    /// Adds a user whose rules are evaluated because of this event.
    fn add(&mut self, user_id: &str, effect: Effect) {
        if effect == self.usual {
            return;
        }
        let list = match effect {
            Effect::Nothing => &mut self.silenced,
            Effect::Notifies | Effect::Highlights => self.exceptions.entry(effect).or_default(),
        };
        list.push(user_id.to_owned());
    }
}

/// The positions up to which a user has read a room.
pub(crate) struct Read {
    /// In all of it.
    everywhere: Pos,
    /// Later ones in some threads, by a receipt or an own event there. `None` is the part outside threads.
    threads: BTreeMap<Option<String>, Pos>,
}

impl Read {
    pub(crate) fn of(tx: &ReadTx<'_>, room_num: RoomNum, user_id: &str) -> Result<Self, DbError> {
        let mut everywhere =
            memberships::find(tx, user_id, room_num)?.map_or(Pos::ZERO, |member| member.since_pos);
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

    /// True if the event at a position, in a thread or outside, was read.
    pub(crate) fn covers(&self, thread: Option<&str>, pos: Pos) -> bool {
        let mut threads = self.threads.iter();
        pos <= self.everywhere || threads.any(|(read, upto)| read.as_deref() == thread && pos <= *upto)
    }
}

/// The senders whose events do not count for a user: ignored users, and the user.
fn excluded(user_id: &str, ignored: &BTreeSet<String>) -> Value {
    // Clients can store any list. No user id contains U+0000, and PostgreSQL refuses it in JSON.
    let ignored = ignored.iter().map(String::as_str).filter(|user_id| !user_id.contains('\0'));
    Value::Array(ignored.chain([user_id]).map(Value::from).collect())
}

/// Counts the unread events of a member in a room, without those by ignored users.
pub fn unread(
    tx: &ReadTx<'_>,
    room: &Room,
    user_id: &str,
    ignored: &BTreeSet<String>,
) -> Result<Unread, Error> {
    let excluded = excluded(user_id, ignored).to_string();
    let read = Read::of(tx, room.num, user_id)?;
    let mut unread = Unread::default();
    let silences = silences::since(tx, user_id, room.num, read.everywhere)?;
    let usual = match unmuted(read.everywhere, &silences) {
        none if none.is_empty() => Vec::new(),
        spans => notifications::unread(tx, room.num, &spans, &excluded)?,
    };
    for (thread, mut counts) in usual {
        if let Some(pos) = read.threads.get(&thread) {
            let spans = unmuted(*pos, &silences);
            counts = notifications::unread_in(tx, room.num, &spans, &excluded, thread.as_deref())?;
        }
        unread.add(thread, counts);
    }
    for exception in notifications::of_user(tx, user_id, room.num, read.everywhere, &excluded)? {
        if read.covers(exception.thread.as_deref(), exception.pos) {
            continue;
        }
        let differs = |effect| i64::from(exception.effect >= effect) - i64::from(exception.usual >= effect);
        let counts = Counts { notifying: differs(Effect::Notifies), highlights: differs(Effect::Highlights) };
        unread.add(exception.thread.clone(), counts);
    }
    unread.threads.retain(|_, count| *count != Count::default());
    Ok(unread)
}

/// The spans of the stream beyond `pos` outside mute intervals, which are in order.
fn unmuted(pos: Pos, silences: &[Silence]) -> Vec<Span> {
    let (mut after, mut spans) = (pos, Vec::new());
    for silence in silences.iter().filter(|silence| silence.upto > pos) {
        if after.next() < silence.from {
            spans.push(Span { after, upto: silence.from.prev() });
        }
        if silence.upto == Pos::END {
            return spans;
        }
        after = silence.upto;
    }
    spans.push(Span { after, upto: Pos::END });
    spans
}

/// Returns true if a member has unread notifications in a room.
pub(crate) fn is_unread(
    tx: &ReadTx<'_>,
    room: &Room,
    user_id: &str,
    ignored: &BTreeSet<String>,
) -> Result<bool, Error> {
    let read = Read::of(tx, room.num, user_id)?;
    let excluded = excluded(user_id, ignored).to_string();
    let wanted = Wanted {
        after: read.everywhere,
        before: Pos::END,
        at_least: Effect::Notifies,
        excluded: &excluded,
        limit: 1,
    };
    let newest = notifications::notifying(tx, user_id, room.num, wanted)?;
    let newest = newest.first().map(|newest| events::by_pos(tx, newest.pos)).transpose()?.flatten();
    match newest {
        None => Ok(false),
        Some(event) if !read.covers(event.thread(), event.pos) => Ok(true),
        // It was read in its thread; earlier events elsewhere may be unread.
        Some(_) => Ok(unread(tx, room, user_id, ignored)?.total().notification_count > 0),
    }
}

fn later(read: &mut BTreeMap<Option<String>, Pos>, thread: Option<String>, pos: Pos) {
    let known = read.entry(thread).or_insert(pos);
    *known = (*known).max(pos);
}

/// An event that notified an account.
#[derive(Debug)]
pub struct Notification {
    /// The event.
    pub event: Event,
    /// Its room.
    pub room: Room,
    /// True if it was read.
    pub is_read: bool,
    /// True if it is a highlight.
    pub stands_out: bool,
}

/// Returns a page of the events that notified an account, the newest first, and the position at which the next page
/// begins.
pub fn notifications(
    tx: &ReadTx<'_>,
    user_id: &str,
    ignored: &BTreeSet<String>,
    from: Option<Pos>,
    limit: usize,
    highlights_only: bool,
) -> Result<(Vec<Notification>, Option<Pos>), Error> {
    let at_least = if highlights_only { Effect::Highlights } else { Effect::Notifies };
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let before = from.map_or(Pos::END, Pos::next);
    let excluded = excluded(user_id, ignored).to_string();
    let mut found = Vec::new();
    for joined in memberships::of_user_in(tx, user_id, Membership::Join)? {
        let (num, after) = (joined.member.room_num, joined.member.since_pos);
        let wanted = Wanted { after, before, at_least, excluded: &excluded, limit: most };
        let of_room = notifications::notifying(tx, user_id, num, wanted)?;
        found.extend(of_room.into_iter().map(|notifying| (notifying, num)));
    }
    found.sort_by_key(|(notifying, _)| Reverse(notifying.pos));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(notifying, _)| notifying.pos.prev());
    let mut known: BTreeMap<RoomNum, (Room, Read)> = BTreeMap::new();
    let mut page = Vec::with_capacity(found.len());
    for (Notifying { pos, effect }, num) in found {
        let Some(event) = events::by_pos(tx, pos)? else { continue };
        if let Entry::Vacant(place) = known.entry(num)
            && let Some(room) = rooms::by_num(tx, num)?
        {
            place.insert((room, Read::of(tx, num, user_id)?));
        }
        let Some((room, read)) = known.get(&num) else { continue };
        let (room, is_read) = (room.clone(), read.covers(event.thread(), pos));
        page.push(Notification { event, room, is_read, stands_out: effect == Effect::Highlights });
    }
    Ok((page, next))
}

/// Push rules in the form of the API: with all kinds, also those without rules.
pub fn as_json(rules: &Ruleset) -> Result<Value, Error> {
    let mut value = serde_json::to_value(rules).map_err(Error::internal)?;
    if let Some(kinds) = value.as_object_mut() {
        for kind in ["override", "content", "room", "sender", "underride"] {
            kinds.entry(kind).or_insert_with(|| json!([]));
        }
    }
    Ok(value)
}

/// The content of the account data event with the push rules of an account.
pub fn as_account_data(tx: &ReadTx<'_>, user_num: UserNum, user_id: &str) -> Result<Value, Error> {
    Ok(json!({ "global": as_json(&rules(tx, user_num, user_id)?)? }))
}
