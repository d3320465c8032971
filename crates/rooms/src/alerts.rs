//! Alerts for pushers: unread events that notify a user, and counts of unread events.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use reeve_db::ReadTx;
use reeve_model::{Membership, Millis, Pos, RoomNum, User};
use reeve_store::events::{self, Event};
use reeve_store::rooms::{self, Room};
use reeve_store::stream::Span;
use reeve_store::{alerts as stored, memberships};
use ruma::push::Action;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::event;
use crate::membership;
use crate::push::{self, Read, Subject};
use crate::types;
use crate::view::{self, ClientEvent, View, Viewer};

/// An unread event that notifies a user.
#[derive(Debug)]
pub struct Alert {
    /// The event.
    pub event: Event,
    /// The event in the reader's form.
    pub shown: ClientEvent,
    /// Its room.
    pub room: Room,
    /// The display name of its sender in the room.
    pub sender_name: String,
    /// Its presentation by the push rules: `sound`, `highlight` and other tweaks.
    pub tweaks: Map<String, Value>,
}

/// Alerts of a user, and the position up to which they were looked for.
#[derive(Debug)]
pub struct Alerts {
    /// The alerts, the oldest first.
    pub found: Vec<Alert>,
    /// The position up to which all notifications were read; there may be more if it is before the end of the stream.
    pub upto: Pos,
}

/// Returns up to `most` alerts of an account in a span up to the present end of the stream, among its first `scan`
/// notifications there.
pub fn find(
    tx: &ReadTx<'_>,
    user: &User,
    Span { after, upto: end }: Span,
    most: usize,
    scan: i64,
    now: Millis,
) -> Result<Alerts, Error> {
    let pending = stored::pending(tx, &user.user_id, after, scan)?;
    let all = i64::try_from(pending.len()).is_ok_and(|found| found < scan);
    let last = pending.last().map_or(end, |(pos, _)| *pos);
    let mut alerts = Alerts { found: Vec::new(), upto: if all { end } else { last } };
    if pending.is_empty() {
        return Ok(alerts);
    }
    let viewer = Viewer { user_id: user.user_id.clone(), user_num: user.num, device_id: String::new() };
    let view = View::of(tx, viewer, now)?;
    let rules = push::readable_rules(tx, user.num, &user.user_id)?.unwrap_or_default();
    let mut read: BTreeMap<RoomNum, Read> = BTreeMap::new();
    for (pos, room_num) in pending {
        let (Some(event), Some(room)) = (events::by_pos(tx, pos)?, rooms::by_num(tx, room_num)?) else {
            continue;
        };
        let read = match read.entry(room_num) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(place) => place.insert(Read::of(tx, room_num, &user.user_id)?),
        };
        // An invite is unread until it is accepted or declined.
        let invites = event.membership.is_some() && event.state_key.as_ref() == Some(&user.user_id);
        let is_open = if invites {
            memberships::find(tx, &user.user_id, room_num)?.is_some_and(|member| member.event_pos == pos)
        } else {
            !read.covers(event.thread(), pos)
        };
        if !is_open || view.ignores(&event.sender) {
            continue;
        }
        let Some(shown) = view.room(&room)?.show(&event)? else { continue };
        if alerts.found.len() == most {
            alerts.upto = pos.prev();
            break;
        }
        let subject = Subject::new(tx, &room, &event.sender, &event.json);
        let tweaks = tweaks(subject.actions(&rules, &user.user_id)?);
        let sender_name = member_name(tx, &room, &event.sender)?;
        alerts.found.push(Alert { event, shown, room, sender_name, tweaks });
    }
    Ok(alerts)
}

/// Returns the display name of a member of a room; the user id, if there is none.
fn member_name(tx: &ReadTx<'_>, room: &Room, user_id: &str) -> Result<String, Error> {
    let member = event::state_content(tx, room, types::MEMBER, user_id)?;
    let name = member.as_ref().and_then(|member| member.get("displayname")).and_then(Value::as_str);
    Ok(name.filter(|name| !name.trim().is_empty()).unwrap_or(user_id).to_owned())
}

/// Returns the tweaks among actions, by name.
fn tweaks(actions: &[Action]) -> Map<String, Value> {
    let mut tweaks = Map::new();
    for action in actions {
        let Ok(Value::Object(mut action)) = serde_json::to_value(action) else { continue };
        if let Some(Value::String(name)) = action.remove("set_tweak") {
            // A tweak without value is switched on.
            tweaks.insert(name, action.remove("value").unwrap_or(Value::Bool(true)));
        }
    }
    tweaks
}

/// Returns the number of unread things of a user: invites, and rooms with notifying events, or each such event.
pub fn badge(tx: &ReadTx<'_>, user: &User, by_room: bool) -> Result<i64, Error> {
    let ignored = view::ignored(tx, user.num)?;
    let mut unread =
        if membership::blocks_invites(tx, user.num)? { 0 } else { invites(tx, &user.user_id, &ignored)? };
    for room_num in stored::unread_rooms(tx, &user.user_id)? {
        let Some(room) = rooms::by_num(tx, room_num)? else { continue };
        unread += if by_room {
            i64::from(push::is_unread(tx, &room, &user.user_id, &ignored)?)
        } else {
            push::unread(tx, &room, &user.user_id, &ignored)?.total().notification_count
        };
    }
    Ok(unread)
}

/// Returns the number of invites of a user, without those by ignored users.
fn invites(tx: &ReadTx<'_>, user_id: &str, ignored: &BTreeSet<String>) -> Result<i64, Error> {
    if ignored.is_empty() {
        return Ok(memberships::count_of_user_in(tx, user_id, Membership::Invite)?);
    }
    let mut count = 0;
    for invited in memberships::of_user_in(tx, user_id, Membership::Invite)? {
        let invite = events::by_pos(tx, invited.member.event_pos)?;
        count += i64::from(invite.is_some_and(|invite| !ignored.contains(&invite.sender)));
    }
    Ok(count)
}
