//! One room in a response: a part of its timeline, the state around it, and its ephemeral events.

use std::collections::BTreeSet;

use reeve_db::ReadTx;
use reeve_model::{Membership, Millis, Pos, RoomNum};
use reeve_rooms::error::Error;
use reeve_rooms::filter;
use reeve_rooms::view::{ClientEvent, RoomView};
use reeve_store::ephemeral::{self, Receipt};
use reeve_store::events::{self, Event};
use reeve_store::memberships;
use reeve_store::rooms::{self, Room};
use ruma::api::client::filter::RoomEventFilter;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The maximum number of events that are read for one timeline.
const MAX_SCANNED: usize = 1000;
/// The number of members in a summary.
const HEROES: i64 = 5;

/// A part of a timeline.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// The events as stored.
    pub(crate) stored: Vec<Event>,
    /// The events for the viewer.
    pub(crate) events: Vec<ClientEvent>,
    /// True if there are further events between the requested position and the first of these.
    pub(crate) limited: bool,
    /// The position right before the first event.
    pub(crate) start: Pos,
    /// State events after the start that hold at the end and are not among the events: the filter leaves them out, or
    /// the viewer may not see their time.
    pub(crate) left_out: Vec<Event>,
}

/// Returns the newest events in `(since, upto]` that the viewer may see and wants.
pub(crate) fn timeline(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    since: Pos,
    upto: Pos,
    limit: i64,
    wanted: &RoomEventFilter,
) -> Result<Timeline, Error> {
    let limit = usize::try_from(limit.max(0)).unwrap_or(0);
    let (mut stored, mut shown, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let (mut before, mut scanned, mut limited) = (upto.next(), 0, false);
    let batch_size = i64::try_from(limit + 1).unwrap_or(1).max(10);
    let known = view.state_pos(upto);
    'scan: loop {
        let batch = events::before(tx, view.room.num, before, since, batch_size)?;
        let last_batch = batch.len() < usize::try_from(batch_size).unwrap_or(0);
        for event in batch {
            let is_seen = view.shows(&event);
            let fits = is_seen && filter::allows_event(wanted, &event);
            if (fits && shown.len() == limit) || scanned == MAX_SCANNED {
                limited = true;
                break 'scan;
            }
            before = event.pos;
            scanned += 1;
            let client = if fits { view.show(&event)? } else { None };
            if let Some(mut client) = client {
                client.room_id = None;
                shown.push(client);
                stored.push(event);
            } else if event.until_pos.is_some_and(|until| until > upto) && (is_seen || event.pos <= known) {
                left_out.push(event);
            }
        }
        if last_batch {
            break;
        }
    }
    // Events since then that were purged are not shown, and the state that they set must be.
    limited |= since > Pos::ZERO && since.next() < view.room.purged_pos;
    stored.reverse();
    shown.reverse();
    let start = match stored.first() {
        Some(first) => first.pos.prev(),
        None if limited => upto,
        None => since.min(upto),
    };
    Ok(Timeline { stored, events: shown, limited, start, left_out })
}

/// Returns the state events for a client that gets a timeline.
pub(crate) fn for_client(view: &RoomView<'_, '_, '_>, state: &[Event]) -> Result<Vec<ClientEvent>, Error> {
    let mut shown = view.show_state(state)?;
    for event in &mut shown {
        event.room_id = None;
    }
    Ok(shown)
}

/// Returns the users who are needed to show events: senders, and users whose membership changes.
pub(crate) fn needed(timeline: &[Event]) -> BTreeSet<&str> {
    let senders = timeline.iter().map(|event| event.sender.as_str());
    let targets = timeline.iter().filter(|event| event.membership.is_some());
    senders.chain(targets.filter_map(|event| event.state_key.as_deref())).collect()
}

/// The members of a room, for clients that do not know all of them.
/// <https://spec.matrix.org/v1.18/client-server-api/#syncing>
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    #[serde(rename = "m.heroes")]
    pub(crate) heroes: Vec<String>,
    #[serde(rename = "m.joined_member_count")]
    pub(crate) joined: i64,
    #[serde(rename = "m.invited_member_count")]
    pub(crate) invited: i64,
}

pub(crate) fn summary(tx: &ReadTx<'_>, room: &Room, own: &str) -> Result<Summary, Error> {
    let heroes = if rooms::shown(room.name.as_ref()).is_some() || room.canonical_alias.is_some() {
        Vec::new()
    } else {
        heroes(tx, room, own)?
    };
    Ok(Summary { heroes, joined: room.joined_members, invited: room.invited_members })
}

/// Returns the first members of a room besides the viewer; former ones, if it has no others.
pub(crate) fn heroes(tx: &ReadTx<'_>, room: &Room, own: &str) -> Result<Vec<String>, Error> {
    let mut heroes = Vec::new();
    for standings in [[Membership::Join, Membership::Invite], [Membership::Leave, Membership::Ban]] {
        for membership in standings {
            let others = memberships::of_room_in(tx, room.num, membership, HEROES + 1)?;
            heroes.extend(others.into_iter().filter(|user_id| user_id != own));
        }
        if !heroes.is_empty() {
            break;
        }
    }
    heroes.truncate(usize::try_from(HEROES).unwrap_or(0));
    Ok(heroes)
}

/// Returns receipts as an `m.receipt` event; `None` if there are none. Private ones are shown to their owner only.
pub(crate) fn receipts(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    own: &str,
    since: Pos,
    upto: Pos,
    hidden: &dyn Fn(&str) -> bool,
) -> Result<Option<Value>, Error> {
    let mut content = Map::new();
    let found = ephemeral::receipts(tx, room_num, since, upto)?;
    for receipt in found {
        let Receipt { user_id, receipt_type, thread_id, event_id, ts, .. } = receipt;
        if (receipt_type == "m.read.private" && user_id != own) || hidden(&user_id) {
            continue;
        }
        let mut data = json!({ "ts": ts });
        if !thread_id.is_empty() {
            data = json!({ "ts": ts, "thread_id": thread_id });
        }
        let of_event = content.entry(event_id).or_insert_with(|| json!({}));
        let Some(of_type) = of_event
            .as_object_mut()
            .map(|of_event| of_event.entry(receipt_type).or_insert_with(|| json!({})))
        else {
            continue;
        };
        if let Some(of_type) = of_type.as_object_mut() {
            of_type.insert(user_id, data);
        }
    }
    Ok((!content.is_empty()).then(|| json!({ "type": "m.receipt", "content": content })))
}

/// Returns the typing users as an `m.typing` event.
pub(crate) fn typing(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    now: Millis,
    hidden: &dyn Fn(&str) -> bool,
) -> Result<Value, Error> {
    let mut user_ids = ephemeral::typing(tx, room_num, now)?;
    user_ids.retain(|user_id| !hidden(user_id));
    Ok(json!({ "type": "m.typing", "content": { "user_ids": user_ids } }))
}
