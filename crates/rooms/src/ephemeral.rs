//! Receipts, read markers, typing and presence.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::User;
use reeve_store::ephemeral::{self as rows, Presence, Receipt};
use reeve_store::events::{self, Event};
use reeve_store::rooms::{self, Room};
use reeve_store::{account_data, memberships, stream};
use serde_json::json;

use crate::error::Error;
use crate::send;
use crate::view::{View, Viewer};

/// How long somebody types without saying so again, at most.
const LONGEST_TYPING_MS: i64 = 120_000;
/// After this long without doing anything somebody counts as idle.
const IDLE_AFTER_MS: i64 = 300_000;
/// After this long without syncing, as gone.
const OFFLINE_AFTER_MS: i64 = 60_000;
/// How often being active is written down.
const ACTIVE_EVERY_MS: i64 = 60_000;
/// How many rows one sweep handles.
const SWEEP: i64 = 200;
/// How many relations lead from an event to a thread at most.
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

/// Moves a receipt of a user forward; an older event changes nothing, and neither does one that this server does not
/// know. The marker `m.fully_read` needs a known event.
pub fn receipt(
    tx: &mut Tx<'_>,
    user: &User,
    room_id: &str,
    (receipt_type, thread_id): (&str, &str),
    event_id: &str,
    now: i64,
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
        let view = View::of(tx, viewer, now)?;
        let room = view.room(&room)?;
        room.membership() == "join" && room.sees(&event)
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
        ts: now,
        event_pos: event.pos,
    };
    rows::put_receipt(tx, &receipt, pos)?;
    Ok(())
}

fn unrelated(event_id: &str, thread_id: &str) -> Error {
    Error::Invalid(format!("event_id {event_id} is not related to thread {thread_id}"))
}

/// Whether an event is in a thread, named by its root, or in none, which is the thread `main`. A root is in its own thread
/// and in `main`; what relates to an event is where that is.
/// <https://spec.matrix.org/v1.18/client-server-api/#threaded-read-receipts>
fn is_in_thread(tx: &ReadTx<'_>, event: &Event, thread_id: &str) -> Result<bool, Error> {
    if event.event_id == thread_id {
        return Ok(events::thread(tx, thread_id)?.is_some());
    }
    let mut event = event.clone();
    for _ in 0..=MAX_HOPS {
        // Redacted events relate to nothing.
        let parent = event.relates_to.as_ref().filter(|_| event.redacted_by.is_none());
        let Some(parent) = parent else { break };
        if event.rel_type.as_deref() == Some("m.thread") {
            return Ok(parent == thread_id);
        }
        let parent = events::find(tx, parent)?.filter(|parent| parent.room_num == event.room_num);
        let Some(parent) = parent else { break };
        event = parent;
    }
    Ok(thread_id == "main")
}

/// Moves the marker up to which a user has read everything.
fn fully_read(tx: &mut Tx<'_>, user: &User, room: &Room, event_id: &str) -> Result<(), Error> {
    let content = json!({ "event_id": event_id }).to_string();
    Ok(account_data::put(tx, user.num, &room.room_id, "m.fully_read", &content)?)
}

/// Says that a user types for so many milliseconds, or not any more.
pub fn typing(
    tx: &mut Tx<'_>,
    user: &User,
    room_id: &str,
    for_ms: Option<i64>,
    now: i64,
) -> Result<(), Error> {
    let room = send::joined_room(tx, room_id, &user.user_id)?;
    if user.shadow_banned {
        return Ok(());
    }
    let old = rows::typing_until(tx, room.num, &user.user_id)?.unwrap_or(0);
    let until = for_ms.map_or(0, |ms| now.saturating_add(ms.clamp(1, LONGEST_TYPING_MS)));
    if until == old {
        return Ok(());
    }
    // Who goes on typing is already known to type: only the time moves.
    let known = old > now && until > 0;
    let pos = if known { None } else { Some(stream::next(tx)?) };
    match pos {
        Some(pos) => rows::put_typing(tx, room.num, &user.user_id, until, pos)?,
        None => rows::prolong_typing(tx, room.num, &user.user_id, until)?,
    }
    Ok(())
}

/// Whether somebody's time for typing ran out, or somebody seems to be there who did nothing for long.
pub fn is_sweep_due(tx: &ReadTx<'_>, now: i64) -> Result<bool, DbError> {
    Ok(!rows::stopped_typing(tx, now, 1)?.is_empty()
        || !rows::idle_presence(tx, now - OFFLINE_AFTER_MS - ACTIVE_EVERY_MS, 1)?.is_empty())
}

/// Lets those stop typing whose time ran out.
pub fn sweep_typing(tx: &mut Tx<'_>, now: i64) -> Result<(), DbError> {
    let stopped = rows::stopped_typing(tx, now, SWEEP)?;
    for (room_num, user_id) in &stopped {
        let pos = stream::next(tx)?;
        rows::put_typing(tx, *room_num, user_id, 0, pos)?;
    }
    Ok(())
}

/// Checks a presence and a status message.
pub fn check_presence(presence: &str, status_msg: Option<&str>) -> Result<(), Error> {
    if !matches!(presence, "online" | "offline" | "unavailable") {
        return Err(Error::Invalid("Invalid presence state".to_owned()));
    }
    if status_msg.is_some_and(|text| text.chars().count() > MAX_STATUS) {
        return Err(Error::Invalid("The status message is too long".to_owned()));
    }
    Ok(())
}

/// Sets the presence of a user, as they asked for it.
pub fn set_presence(
    tx: &mut Tx<'_>,
    user_id: &str,
    presence: &str,
    status_msg: Option<&str>,
    now: i64,
) -> Result<(), Error> {
    check_presence(presence, status_msg)?;
    let pos = stream::next(tx)?;
    let presence = Presence {
        user_id: user_id.to_owned(),
        presence: presence.to_owned(),
        status_msg: status_msg.map(str::to_owned),
        last_active_ts: now,
    };
    rows::put_presence(tx, &presence, pos)?;
    Ok(())
}

/// Whether a sync with a presence would change what others see.
pub fn presence_would_change(
    tx: &ReadTx<'_>,
    user_id: &str,
    presence: &str,
    now: i64,
) -> Result<bool, DbError> {
    Ok(match rows::presence(tx, user_id)? {
        Some(old) => {
            old.presence != presence || (presence == "online" && old.last_active_ts < now - ACTIVE_EVERY_MS)
        }
        None => presence != "offline",
    })
}

/// Notes that a user syncs with a presence; the status message stays.
pub fn sync_presence(tx: &mut Tx<'_>, user_id: &str, presence: &str, now: i64) -> Result<(), Error> {
    match rows::presence(tx, user_id)? {
        Some(old) if old.presence == presence => Ok(rows::prolong_presence(tx, user_id, now)?),
        old => set_presence(tx, user_id, presence, old.and_then(|old| old.status_msg).as_deref(), now),
    }
}

/// Lets those who did nothing for long become idle or gone. `is_syncing` tells who
/// waits for news at the moment.
pub fn sweep_presence(tx: &mut Tx<'_>, is_syncing: &dyn Fn(&str) -> bool, now: i64) -> Result<(), DbError> {
    for old in rows::idle_presence(tx, now - OFFLINE_AFTER_MS - ACTIVE_EVERY_MS, SWEEP)? {
        let presence = if !is_syncing(&old.user_id) {
            "offline"
        } else if old.last_active_ts < now - IDLE_AFTER_MS {
            "unavailable"
        } else {
            continue;
        };
        if presence != old.presence {
            let pos = stream::next(tx)?;
            rows::put_presence(tx, &Presence { presence: presence.to_owned(), ..old }, pos)?;
        }
    }
    Ok(())
}

/// The presence of a user, for somebody who shares a room.
pub fn presence(tx: &ReadTx<'_>, user: &User, of: &str) -> Result<Option<Presence>, Error> {
    if of != user.user_id && !memberships::share_room(tx, &user.user_id, of)? {
        return Err(Error::forbidden("You are not allowed to see their presence."));
    }
    Ok(rows::presence(tx, of)?)
}

/// A presence as clients get it.
pub fn presence_content(presence: &Presence, now: i64) -> serde_json::Value {
    let mut content = json!({
        "presence": presence.presence,
        "last_active_ago": now.saturating_sub(presence.last_active_ts).max(0),
    });
    if let Some(content) = content.as_object_mut() {
        if presence.presence == "online" {
            let active = presence.last_active_ts >= now - ACTIVE_EVERY_MS;
            content.insert("currently_active".to_owned(), json!(active));
        }
        if let Some(status_msg) = &presence.status_msg {
            content.insert("status_msg".to_owned(), json!(status_msg));
        }
    }
    content
}
