//! Receipts, read markers, typing and presence.

use std::collections::BTreeSet;

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, Membership, Millis, Pos, User};
use reeve_store::ephemeral::GoneDevice;
use reeve_store::ephemeral::{self as rows, DevicePresence, Presence, Receipt};
use reeve_store::events::{self, Event};
use reeve_store::rooms::{self, Room};
use reeve_store::threads;
use reeve_store::{account_data, memberships, stream};
use serde_json::json;

use crate::error::Error;
use crate::lookup;
use crate::types;
use crate::view::{View, Viewer};

/// The maximum time of typing without another request, in milliseconds.
const MAX_TYPING_MS: i64 = 120_000;
/// The minimum time for which a device stays present after its last request, or the end of its poll, in milliseconds.
const GRACE_MS: i64 = 30_000;
/// The time that is added in the database, so that not every poll writes, in milliseconds.
const SLACK_MS: i64 = 30_000;
/// The time for which a user counts as active after doing something, in milliseconds.
const ACTIVE_MS: i64 = 60_000;
/// The number of rows in one sweep.
const SWEEP: i64 = 200;
/// The maximum number of relations from an event to its thread.
const MAX_HOPS: usize = 3;
/// The longest status message, in characters.
const MAX_STATUS: usize = 1000;

/// Checks the form of the ids of a room and an event.
pub fn check_ids(room_id: &str, event_id: &str) -> Result<(), Error> {
    if room_id.starts_with('!') && event_id.starts_with('$') {
        return Ok(());
    }
    Err(Error::Invalid("A valid room ID and event ID must be specified".to_owned()))
}

/// A receipt, or the marker `m.fully_read`.
#[derive(Clone, Copy, Debug)]
pub struct NewReceipt<'a> {
    /// `m.read`, `m.read.private` or `m.fully_read`.
    pub receipt_type: &'a str,
    /// The root of a thread, `main`, or blank for the whole room.
    pub thread_id: &'a str,
    /// The last event that the user has read.
    pub event_id: &'a str,
}

/// Moves a receipt of a user forward. An earlier or unknown event changes nothing, except that the marker
/// `m.fully_read` needs a known event.
pub fn receipt(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user: &User,
    room_id: &str,
    NewReceipt { receipt_type, thread_id, event_id }: NewReceipt<'_>,
) -> Result<(), Error> {
    check_ids(room_id, event_id)?;
    let known = match rooms::find(tx, room_id)? {
        Some(room) => events::find(tx, event_id)?
            .filter(|event| event.room_num == room.num && event.pos >= room.purged_pos)
            .map(|event| (room, event)),
        None => None,
    };
    let Some((room, event)) = known else {
        if receipt_type == "m.fully_read" {
            return Err(Error::NotFound("Could not find event"));
        }
        return if matches!(thread_id, "" | "main") { Ok(()) } else { Err(unrelated(event_id, thread_id)) };
    };
    let viewer = Viewer { user_id: user.user_id.clone(), user_num: user.num, ..Viewer::default() };
    let is_seen = {
        let view = View::of(tx, viewer, ctx.now)?;
        let room = view.room(&room)?;
        room.membership_at(Pos::END) == Membership::Join && room.sees(&event)
    };
    if !is_seen {
        return Err(Error::forbidden("You don't have permission to access that event."));
    }
    if !thread_id.is_empty() && !is_in_thread(tx, &event, thread_id)? {
        return Err(unrelated(event_id, thread_id));
    }
    if receipt_type == "m.fully_read" {
        return fully_read(tx, user, &room, event_id);
    }
    let old = rows::receipt_pos(tx, room.num, &user.user_id, receipt_type, thread_id)?;
    if old.is_some_and(|old| old >= event.pos) {
        return Ok(());
    }
    let pos = stream::next(tx)?;
    let receipt = Receipt {
        room_num: room.num,
        user_id: user.user_id.clone(),
        receipt_type: receipt_type.to_owned(),
        thread_id: thread_id.to_owned(),
        event_id: event_id.to_owned(),
        ts: ctx.now,
        event_pos: event.pos,
    };
    rows::put_receipt(tx, &receipt, pos)?;
    Ok(())
}

fn unrelated(event_id: &str, thread_id: &str) -> Error {
    Error::Invalid(format!("event_id {event_id} is not related to thread {thread_id}"))
}

/// Returns true if an event is in a thread, given by its root, or in no thread, given as `main`. A root is in its own
/// thread and in `main`; an event with another relation is in the thread of its target.
/// <https://spec.matrix.org/v1.18/client-server-api/#threaded-read-receipts>
fn is_in_thread(tx: &ReadTx<'_>, event: &Event, thread_id: &str) -> Result<bool, Error> {
    if event.event_id == thread_id {
        return Ok(threads::find(tx, thread_id)?.is_some());
    }
    let mut event = event.clone();
    for _ in 0..=MAX_HOPS {
        // Redacted events have no relations.
        let parent = event.relates_to.as_ref().filter(|_| event.redacted_by.is_none());
        let Some(parent) = parent else { break };
        if event.rel_type.as_deref() == Some(types::THREAD) {
            return Ok(parent == thread_id);
        }
        let parent = events::find(tx, parent)?.filter(|parent| parent.room_num == event.room_num);
        let Some(parent) = parent else { break };
        event = parent;
    }
    Ok(thread_id == "main")
}

/// Moves the `m.fully_read` marker of a user.
fn fully_read(tx: &mut Tx<'_>, user: &User, room: &Room, event_id: &str) -> Result<(), Error> {
    let content = json!({ "event_id": event_id }).to_string();
    account_data::put(tx, user.num, &room.room_id, "m.fully_read", &content)?;
    Ok(())
}

/// Starts or extends the typing of a user by so many milliseconds, or ends it.
pub fn typing(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user: &User,
    room_id: &str,
    for_ms: Option<i64>,
) -> Result<(), Error> {
    let room = lookup::joined_room(tx, room_id, &user.user_id)?;
    if user.shadow_banned {
        return Ok(());
    }
    let old = rows::typing_until(tx, room.num, &user.user_id)?.unwrap_or_default();
    let until = for_ms.map_or(Millis::ZERO, |ms| ctx.now.plus(ms.clamp(1, MAX_TYPING_MS)));
    if until == old {
        return Ok(());
    }
    // Other users know already that the user types: only the time is extended.
    let known = old > ctx.now && until > Millis::ZERO;
    let pos = if known { None } else { Some(stream::next(tx)?) };
    match pos {
        Some(pos) => rows::put_typing(tx, room.num, &user.user_id, until, pos)?,
        None => rows::prolong_typing(tx, room.num, &user.user_id, until)?,
    }
    Ok(())
}

/// Returns true if typing or the presence of a device has timed out.
pub fn is_sweep_due(tx: &ReadTx<'_>, now: Millis) -> Result<bool, DbError> {
    Ok(!rows::stopped_typing(tx, now, 1)?.is_empty() || !rows::gone_devices(tx, now, 1)?.is_empty())
}

/// Ends typing that has timed out.
pub fn sweep_typing(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    for stopped in rows::stopped_typing(tx, now, SWEEP)? {
        let pos = stream::next(tx)?;
        rows::put_typing(tx, stopped.room_num, &stopped.user_id, Millis::ZERO, pos)?;
    }
    Ok(())
}

/// An availability. The highest one of several devices counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Availability {
    /// Offline.
    Offline,
    /// Idle.
    Unavailable,
    /// Online.
    Online,
}

impl Availability {
    /// Returns the availability of a name.
    fn named(name: &str) -> Option<Self> {
        [Self::Offline, Self::Unavailable, Self::Online].into_iter().find(|one| one.name() == name)
    }

    /// Reads its name in a request.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::named(text).ok_or_else(|| Error::Invalid("Invalid presence state".to_owned()))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Unavailable => "unavailable",
            Self::Online => "online",
        }
    }
}

/// One device of a user.
#[derive(Clone, Debug)]
pub struct Device {
    /// The user id.
    pub user_id: String,
    /// The device, or a substitute for a session without device.
    pub device_id: String,
}

/// Checks a status message.
pub fn check_status(status_msg: Option<&str>) -> Result<(), Error> {
    if status_msg.is_some_and(|text| text.chars().count() > MAX_STATUS) {
        return Err(Error::Invalid("The status message is too long".to_owned()));
    }
    Ok(())
}

/// Sets the presence of a device and the status message of its user, as a client requested.
pub fn set_presence(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    device: &Device,
    wanted: Availability,
    status_msg: Option<&str>,
) -> Result<(), Error> {
    check_status(status_msg)?;
    move_device(tx, device, wanted, ctx.now)?;
    let old = rows::presence(tx, &device.user_id)?;
    Ok(publish(tx, &device.user_id, old.as_ref(), status_msg, Some(ctx.now), ctx.now)?)
}

/// Returns true if a poll of a device that lasts until a time would change anything about its presence.
pub fn poll_moves_device(
    tx: &ReadTx<'_>,
    device: &Device,
    wanted: Availability,
    until_ts: Millis,
) -> Result<bool, DbError> {
    let old = rows::device_presence(tx, &device.user_id, &device.device_id)?;
    Ok(match old {
        None => wanted != Availability::Offline,
        Some(old) => old.presence != wanted.name() || old.until_ts < until_ts.plus(GRACE_MS),
    })
}

/// Stores that a device polls with a presence until a time. The status message stays.
pub fn poll_presence(
    tx: &mut Tx<'_>,
    device: &Device,
    wanted: Availability,
    until_ts: Millis,
    now: Millis,
) -> Result<(), DbError> {
    move_device(tx, device, wanted, until_ts)?;
    let old = rows::presence(tx, &device.user_id)?;
    let status_msg = old.as_ref().and_then(|old| old.status_msg.clone());
    let active_ts = (wanted != Availability::Offline).then_some(now);
    publish(tx, &device.user_id, old.as_ref(), status_msg.as_deref(), active_ts, now)
}

/// Sets the availability of a device until a time, extended by the time in which nobody needs to be told.
fn move_device(
    tx: &mut Tx<'_>,
    device: &Device,
    wanted: Availability,
    until_ts: Millis,
) -> Result<(), DbError> {
    let Device { user_id, device_id } = device;
    if wanted == Availability::Offline {
        return rows::delete_device_presence(tx, user_id, device_id);
    }
    let until_ts = until_ts.plus(GRACE_MS + SLACK_MS);
    // Another poll of the device may last longer.
    let longer = rows::device_presence(tx, user_id, device_id)?
        .filter(|old| old.presence == wanted.name())
        .map_or(until_ts, |old| old.until_ts.max(until_ts));
    let moved = DevicePresence { presence: wanted.name().to_owned(), until_ts: longer };
    rows::put_device_presence(tx, user_id, device_id, &moved)
}

/// Publishes the best presence of a user's devices, if it has changed. `active_ts` is the time of the user's last
/// activity, if that is new.
fn publish(
    tx: &mut Tx<'_>,
    user_id: &str,
    old: Option<&Presence>,
    status_msg: Option<&str>,
    active_ts: Option<Millis>,
    now: Millis,
) -> Result<(), DbError> {
    let devices = rows::device_presences(tx, user_id, now)?;
    let best = devices.iter().filter_map(|name| Availability::named(name)).max();
    let best = best.unwrap_or(Availability::Offline);
    let known = old.map_or(Availability::Offline.name(), |old| old.presence.as_str());
    if known == best.name() && old.and_then(|old| old.status_msg.as_deref()) == status_msg {
        return match active_ts {
            Some(active_ts) => rows::prolong_presence(tx, user_id, active_ts),
            None => Ok(()),
        };
    }
    let presence = Presence {
        user_id: user_id.to_owned(),
        presence: best.name().to_owned(),
        status_msg: status_msg.map(str::to_owned),
        last_active_ts: active_ts.or(old.map(|old| old.last_active_ts)).unwrap_or(now),
    };
    let pos = stream::next(tx)?;
    rows::put_presence(tx, &presence, pos)
}

/// Deletes device presences that have timed out, and publishes the remaining presences of their users.
pub fn sweep_presence(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    let mut left = BTreeSet::new();
    for GoneDevice { user_id, device_id } in rows::gone_devices(tx, now, SWEEP)? {
        rows::delete_device_presence(tx, &user_id, &device_id)?;
        left.insert(user_id);
    }
    for user_id in left {
        let old = rows::presence(tx, &user_id)?;
        let status_msg = old.as_ref().and_then(|old| old.status_msg.clone());
        publish(tx, &user_id, old.as_ref(), status_msg.as_deref(), None, now)?;
    }
    Ok(())
}

/// Returns the presence of a user, for a user who shares a room.
pub fn presence(tx: &ReadTx<'_>, user: &User, of: &str) -> Result<Option<Presence>, Error> {
    if of != user.user_id && !memberships::share_room(tx, &user.user_id, of)? {
        return Err(Error::forbidden("You are not allowed to see their presence."));
    }
    Ok(rows::presence(tx, of)?)
}

/// The content of a presence event.
pub fn presence_content(presence: &Presence, now: Millis) -> serde_json::Value {
    let mut content = json!({
        "presence": presence.presence,
        "last_active_ago": now.since(presence.last_active_ts).max(0),
    });
    if let Some(content) = content.as_object_mut() {
        if presence.presence == "online" {
            let active = presence.last_active_ts >= now.minus(ACTIVE_MS);
            content.insert("currently_active".to_owned(), json!(active));
        }
        if let Some(status_msg) = &presence.status_msg {
            content.insert("status_msg".to_owned(), json!(status_msg));
        }
    }
    content
}
