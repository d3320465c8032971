//! Push rules, and how many events in a room somebody has not read.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-rules>
//!
//! Most members have the default rules, by which an event notifies all of them or nobody. So it is noted with the event
//! whether it notifies everybody, and by itself only whom it notifies otherwise: who is mentioned, or has rules of their
//! own. Whose rules silence what notifies everybody is noted when that begins and ends. What is unread is counted from
//! that, and sending costs the same in a room of any size.

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
use reeve_model::{Membership, Pos, RoomNum, UserNum};
use reeve_store::events::{self, Event};
use reeve_store::rooms::Room;
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
/// How many mentioned users an event can notify.
const MAX_MENTIONED: usize = 1000;
/// How many bytes the rules of an account may take.
const MAX_BYTES: usize = 256 * 1024;

/// The rules of members who have none of their own, for somebody who is not mentioned.
static DEFAULT: LazyLock<Ruleset> = LazyLock::new(|| defaults::of_nobody(user_id!("@:nobody.invalid")));

#[derive(Deserialize, Serialize)]
struct Stored {
    global: Ruleset,
}

/// Stored rules, with those that the specification has added since; `None` if they cannot be read.
fn parse(stored: &str, user_id: &UserId) -> Option<Ruleset> {
    let Stored { global: mut rules } = serde_json::from_str(stored).ok()?;
    rules.update_with_server_default(defaults::of(user_id));
    Some(rules)
}

/// The push rules of an account: the stored ones, or the default; `None` if they cannot be read.
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

/// The push rules of an account: the stored ones, or the default.
pub fn rules(tx: &ReadTx<'_>, user_num: UserNum, user_id: &str) -> Result<Ruleset, Error> {
    readable_rules(tx, user_num, user_id)?.ok_or_else(|| Error::internal("push rules cannot be read"))
}

/// Replaces the push rules of an account, of which there were `before`.
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

/// Decides whom a new event notifies: everybody in the same way, and some otherwise.
pub(crate) fn note(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &Room,
    event: &Event,
    content: &Map<String, Value>,
) -> Result<i64, Error> {
    let members = home.push_rules.members(tx, room.num)?;
    let subject = Subject::new(tx, room, &event.sender, &event.json);
    let mut verdicts = Verdicts { usual: subject.notifies(&DEFAULT, "")?, ..Verdicts::default() };
    let mut decided = HashSet::from([event.sender.clone()]);
    let silent = if members.is_empty() { Vec::new() } else { silences::lasting_in(tx, room.num)? };
    let silent: HashSet<String> = silent.into_iter().collect();
    for Member { user_id, rules } in members {
        if decided.insert(user_id.clone()) {
            verdicts.add_member(&user_id, silent.contains(&user_id), subject.notifies(&rules, &user_id)?);
        }
    }
    // Who is invited is no member yet.
    let invited = event.state_key.clone().filter(|_| event.membership == Some(Membership::Invite));
    if let Some(user_id) = invited
        && let Some(num) = users::num(tx, &user_id)?
        && decided.insert(user_id.clone())
    {
        let rules = readable_rules(tx, num, &user_id)?.unwrap_or_default();
        verdicts.add(&user_id, subject.notifies(&rules, &user_id)?);
    }
    let mentioned = content.get("m.mentions").and_then(|mentions| mentions.get("user_ids"));
    let mentioned = mentioned.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut mentioned: BTreeSet<&str> = mentioned.take(MAX_MENTIONED).collect();
    // A message that does not say whom it mentions, mentions those whose names it contains.
    if !content.contains_key("m.mentions") {
        mentioned.extend(subject.named()?.members.iter().map(String::as_str));
    }
    for user_id in mentioned.into_iter().filter(|user_id| !decided.contains(*user_id)) {
        let Ok(parsed) = UserId::parse(user_id) else { continue };
        if memberships::find(tx, user_id, room.num)?
            .is_some_and(|member| member.membership == Membership::Join)
        {
            verdicts.add(user_id, subject.notifies(&defaults::of(&parsed), user_id)?);
        }
    }
    for (notifies, user_ids) in verdicts.exceptions {
        notifications::insert(tx, &user_ids, room.num, event.pos, notifies)?;
    }
    silences::end(tx, &verdicts.ended, room.num, event.pos.prev())?;
    silences::insert(tx, &verdicts.silenced, room.num, event.pos, event.pos)?;
    silences::insert(tx, &verdicts.begun, room.num, event.pos, Pos::END)?;
    Ok(verdicts.usual)
}

/// What an event does for people, as far as it has to be noted.
#[derive(Default)]
struct Verdicts {
    /// What it does for everybody.
    usual: i64,
    /// Whom it notifies otherwise, by what it does for them.
    exceptions: BTreeMap<i64, Vec<String>>,
    /// Whom it does not notify although it does everybody: members with whom a silence begins, and others.
    begun: Vec<String>,
    silenced: Vec<String>,
    /// Whose silence it ends.
    ended: Vec<String>,
}

impl Verdicts {
    /// For a member whose rules are looked at with each event in the room.
    fn add_member(&mut self, user_id: &str, is_silent: bool, notifies: i64) {
        match (is_silent, notifies) {
            (true, 0) => {}
            (false, 0) if self.usual > 0 => self.begun.push(user_id.to_owned()),
            _ => {
                if is_silent {
                    self.ended.push(user_id.to_owned());
                }
                self.add(user_id, notifies);
            }
        }
    }

    /// For somebody whose rules are looked at because of this event.
    fn add(&mut self, user_id: &str, notifies: i64) {
        if notifies == self.usual {
            return;
        }
        let list = match notifies {
            0 => &mut self.silenced,
            _ => self.exceptions.entry(notifies).or_default(),
        };
        list.push(user_id.to_owned());
    }
}

/// Up to where somebody has read a room.
pub(crate) struct Read {
    /// Everywhere in it.
    everywhere: Pos,
    /// Further in some threads, by a receipt or by writing there; `None` stands outside threads.
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

    /// Whether it was read what stands at a position, in a thread or outside.
    pub(crate) fn covers(&self, thread: Option<&str>, pos: Pos) -> bool {
        let mut threads = self.threads.iter();
        pos <= self.everywhere || threads.any(|(read, upto)| read.as_deref() == thread && pos <= *upto)
    }
}

/// The user ids whose events do not count for a user: whom they ignore, and their own.
fn unheard(user_id: &str, ignored: &BTreeSet<String>) -> Value {
    // Clients write the list as they like; a zero byte is in no user id, and PostgreSQL reads none.
    let ignored = ignored.iter().map(String::as_str).filter(|user_id| !user_id.contains('\0'));
    Value::Array(ignored.chain([user_id]).map(Value::from).collect())
}

/// What a member, who ignores some people, has not read in a room.
pub fn unread(
    tx: &ReadTx<'_>,
    room: &Room,
    user_id: &str,
    ignored: &BTreeSet<String>,
) -> Result<Unread, Error> {
    let unheard = unheard(user_id, ignored).to_string();
    let read = Read::of(tx, room.num, user_id)?;
    let mut unread = Unread::default();
    let silences = silences::since(tx, user_id, room.num, read.everywhere)?;
    let usual = match between(read.everywhere, &silences) {
        none if none.is_empty() => Vec::new(),
        ranges => notifications::unread(tx, room.num, &ranges, &unheard)?,
    };
    for (thread, mut notifying, mut standing_out) in usual {
        if let Some(pos) = read.threads.get(&thread) {
            let ranges = between(*pos, &silences);
            (notifying, standing_out) =
                notifications::unread_in(tx, room.num, &ranges, &unheard, thread.as_deref())?;
        }
        unread.add(thread, notifying, standing_out);
    }
    for exception in notifications::of_user(tx, user_id, room.num, read.everywhere, &unheard)? {
        if read.covers(exception.thread.as_deref(), exception.pos) {
            continue;
        }
        let differs = |from: i64| i64::from(exception.notifies >= from) - i64::from(exception.usual >= from);
        unread.add(exception.thread.clone(), differs(1), differs(2));
    }
    unread.threads.retain(|_, count| *count != Count::default());
    Ok(unread)
}

/// The ranges of positions beyond `pos` that are in none of some others, which are in order.
fn between(pos: Pos, silences: &[(Pos, Pos)]) -> Vec<(Pos, Pos)> {
    let (mut next, mut ranges) = (pos.next(), Vec::new());
    for (from, upto) in silences.iter().filter(|(_, upto)| *upto > pos) {
        if next < *from {
            ranges.push((next, from.prev()));
        }
        if *upto == Pos::END {
            return ranges;
        }
        next = upto.next();
    }
    ranges.push((next, Pos::END));
    ranges
}

/// Whether a member has not read something in a room that notifies them.
pub(crate) fn is_unread(
    tx: &ReadTx<'_>,
    room: &Room,
    user_id: &str,
    ignored: &BTreeSet<String>,
) -> Result<bool, Error> {
    let read = Read::of(tx, room.num, user_id)?;
    let unheard = unheard(user_id, ignored).to_string();
    let range = (read.everywhere, Pos::END);
    let newest = notifications::notifying(tx, user_id, room.num, range, 1, &unheard, 1)?;
    let newest = newest.first().map(|(pos, _)| events::by_pos(tx, *pos)).transpose()?.flatten();
    match newest {
        None => Ok(false),
        Some(event) if !read.covers(event.thread(), event.pos) => Ok(true),
        // It was read in its thread; what came before elsewhere was perhaps not.
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
    /// Whether it was read.
    pub is_read: bool,
    /// Whether it stands out.
    pub stands_out: bool,
}

/// A page of the events that notified an account, the newest first, and where the list goes on.
pub fn notifications(
    tx: &ReadTx<'_>,
    user_id: &str,
    ignored: &BTreeSet<String>,
    from: Option<Pos>,
    limit: usize,
    highlights_only: bool,
) -> Result<(Vec<Notification>, Option<Pos>), Error> {
    let needed = if highlights_only { 2 } else { 1 };
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let before = from.map_or(Pos::END, Pos::next);
    let unheard = unheard(user_id, ignored).to_string();
    let mut found = Vec::new();
    for joined in memberships::of_user_in(tx, user_id, Membership::Join)? {
        let (num, since) = (joined.member.room_num, joined.member.since_pos);
        let of_room = notifications::notifying(tx, user_id, num, (since, before), needed, &unheard, most)?;
        found.extend(of_room.into_iter().map(|(pos, notifies)| (pos, notifies, num)));
    }
    found.sort_by_key(|(pos, ..)| Reverse(*pos));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(pos, ..)| pos.prev());
    let mut known: BTreeMap<RoomNum, (Room, Read)> = BTreeMap::new();
    let mut page = Vec::with_capacity(found.len());
    for (pos, notifies, num) in found {
        let Some(event) = events::by_pos(tx, pos)? else { continue };
        if let Entry::Vacant(place) = known.entry(num)
            && let Some(room) = rooms::by_num(tx, num)?
        {
            place.insert((room, Read::of(tx, num, user_id)?));
        }
        let Some((room, read)) = known.get(&num) else { continue };
        let (room, is_read) = (room.clone(), read.covers(event.thread(), pos));
        page.push(Notification { event, room, is_read, stands_out: notifies > 1 });
    }
    Ok((page, next))
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
pub fn as_account_data(tx: &ReadTx<'_>, user_num: UserNum, user_id: &str) -> Result<Value, Error> {
    Ok(json!({ "global": as_json(&rules(tx, user_num, user_id)?)? }))
}
