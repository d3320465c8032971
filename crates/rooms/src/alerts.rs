//! Alerts, which pushers tell: the events that notify somebody and are not read, and the unread count.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use reeve_db::ReadTx;
use reeve_model::{Membership, Millis, Pos, RoomNum, User};
use reeve_store::events::{self, Event};
use reeve_store::rooms::{self, Room};
use reeve_store::{alerts as stored, memberships};
use ruma::push::Action;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::event;
use crate::membership;
use crate::push::{self, Read, Subject};
use crate::types;
use crate::view::{self, ClientEvent, View, Viewer};

/// An event that notifies somebody who has not read it.
#[derive(Debug)]
pub struct Alert {
    /// The event.
    pub event: Event,
    /// The event as its reader sees it.
    pub shown: ClientEvent,
    /// Its room.
    pub room: Room,
    /// The name of its sender in the room.
    pub sender_name: String,
    /// Its presentation, by the push rules: `sound`, `highlight` and what clients agree on.
    pub tweaks: Map<String, Value>,
}

/// Alerts of somebody, and how far they were looked for.
#[derive(Debug)]
pub struct Alerts {
    /// The oldest ones first.
    pub found: Vec<Alert>,
    /// All up to this position were looked at; there may be more if it is before the end of the stream.
    pub upto: Pos,
}

/// Up to `most` alerts of an account beyond a position, among its next `scan` notifications. `end` is the present end of
/// the stream.
pub fn find(
    tx: &ReadTx<'_>,
    user: &User,
    after: Pos,
    end: Pos,
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
        // An invitation is open as long as it is neither accepted nor declined.
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

/// The name of a member in a room; the user id, if there is no other.
fn member_name(tx: &ReadTx<'_>, room: &Room, user_id: &str) -> Result<String, Error> {
    let member = event::state_content(tx, room, types::MEMBER, user_id)?;
    let name = member.as_ref().and_then(|member| member.get("displayname")).and_then(Value::as_str);
    Ok(name.filter(|name| !name.trim().is_empty()).unwrap_or(user_id).to_owned())
}

/// The tweaks among actions, by name.
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

/// The unread count of somebody: invitations, and rooms with something that notifies, or each such event.
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

/// The number of invitations of somebody by people who are not ignored.
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
