//! Reading a room's history: pages, context, relations, threads, search.

use std::collections::HashSet;

use reeve_db::ReadTx;
use reeve_model::{Membership, Millis, Pos, RoomNum, Token};
use reeve_store::event_words;
use reeve_store::events::{self, Event};
use reeve_store::rooms::{self, Room};
use reeve_store::threads;
use reeve_store::{memberships, stream, words};
use ruma::api::client::filter::RoomEventFilter;
use serde_json::{Value, json};

use crate::error::Error;
use crate::filter;
use crate::types;
use crate::view::{ClientEvent, RoomView, View, Viewer};

/// The maximum number of events in one page.
pub const MAX: i64 = 1000;
/// The maximum number of events that are read for one page.
const MAX_SCANNED: usize = 5000;
/// The number of events in one read.
const BATCH: i64 = 200;

/// A part of the history.
#[derive(Debug)]
pub struct Page {
    /// The events, in the direction of reading.
    pub chunk: Vec<ClientEvent>,
    /// The token of its start.
    pub start: Token,
    /// The token of the next page; `None` at the end.
    pub end: Option<Token>,
    /// The membership events of the senders, if requested.
    pub state: Vec<ClientEvent>,
}

/// The requested part of the history.
#[derive(Clone, Debug)]
pub struct Range {
    /// The token to start at; `None` for the end from which the direction leads away.
    pub from: Option<Token>,
    /// The token to stop at.
    pub to: Option<Token>,
    /// True if the direction is back in time.
    pub backwards: bool,
    /// The maximum number of events.
    pub limit: i64,
}

/// Returns a page of the events of a room that the viewer sees.
pub fn messages(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    range: &Range,
    wanted: &RoomEventFilter,
) -> Result<Page, Error> {
    let current = stream::current(tx)?;
    let (start, to) = bounds(view, range, current)?;
    let limit = usize::try_from(range.limit.clamp(0, MAX)).unwrap_or(0);
    let (mut chunk, mut shown) = (Vec::new(), Vec::new());
    let mut at = start;
    let mut scanned = 0;
    let mut more = true;
    while more && shown.len() < limit && scanned < MAX_SCANNED {
        let batch = if range.backwards {
            at = view.newest_seen(at);
            events::before(tx, view.room.num, at.next(), to.unwrap_or(Pos::ZERO), BATCH)?
        } else {
            events::after(tx, view.room.num, at, to.map_or(current, |to| to.min(current)), BATCH)?
        };
        more = batch.len() == usize::try_from(BATCH).unwrap_or(0);
        for event in batch {
            if shown.len() == limit {
                more = true;
                break;
            }
            scanned += 1;
            at = if range.backwards { event.pos.prev() } else { event.pos };
            if filter::allows_room(wanted, &view.room.room_id)
                && filter::allows_event(wanted, &event)
                && let Some(client) = view.show(&event)?
            {
                shown.push(client);
                chunk.push(event);
            }
        }
    }
    let state = if filter::is_lazy(wanted) { senders(view, tx, &chunk)? } else { Vec::new() };
    // At the newest end there may always be more later.
    let more = more || (!range.backwards && at > start && to.is_none());
    let end = more.then(|| view.view.token(at)).transpose()?;
    Ok(Page { chunk: shown, start: view.view.token(start)?, end, state })
}

/// Returns the positions at which a range starts and stops. A token that was undone by restoring a backup starts at the
/// newest position, so that nothing is left out, and stops nowhere.
fn bounds(view: &RoomView<'_, '_, '_>, range: &Range, current: Pos) -> Result<(Pos, Option<Pos>), Error> {
    let start = match &range.from {
        Some(from) => view.view.start(from)?,
        None if range.backwards => current,
        None => Pos::ZERO,
    };
    let to = match &range.to {
        Some(to) if view.view.knows(to)? => Some(to.pos),
        Some(_) | None => None,
    };
    Ok((start, to))
}

/// Returns the present membership events of the senders of some events.
pub fn senders(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    chunk: &[Event],
) -> Result<Vec<ClientEvent>, Error> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for event in chunk.iter().filter(|event| seen.insert(event.sender.clone())) {
        let pos = view.state_pos(event.pos);
        if let Some(member) = events::state_at(tx, view.room.num, types::MEMBER, &event.sender, pos)? {
            found.push(view.show_plain(&member)?);
        }
    }
    Ok(found)
}

/// Returns an event by its id, if it is shown to the viewer.
pub fn event(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    event_id: &str,
) -> Result<(Event, ClientEvent), Error> {
    let not_found = || Error::NotFound("Event not found.");
    let event =
        events::find(tx, event_id)?.filter(|event| event.room_num == view.room.num).ok_or_else(not_found)?;
    let shown = view.show(&event)?.ok_or_else(not_found)?;
    Ok((event, shown))
}

/// An event, and the events around it.
#[derive(Debug)]
pub struct Context {
    /// The event.
    pub event: ClientEvent,
    /// Earlier events, the newest first.
    pub before: Vec<ClientEvent>,
    /// Later events, the oldest first.
    pub after: Vec<ClientEvent>,
    /// The token at which `before` continues.
    pub start: Token,
    /// The token at which `after` continues.
    pub end: Token,
    /// The state after the last event.
    pub state: Vec<ClientEvent>,
}

/// Returns an event that is shown to the viewer, with up to `limit` events around it.
pub fn context(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    event_id: &str,
    limit: i64,
    wanted: &RoomEventFilter,
) -> Result<Context, Error> {
    let (found, event) = event(view, tx, event_id)?;
    let limit = limit.clamp(0, MAX);
    let side =
        |backwards, from: &Token, limit| Range { from: Some(from.clone()), to: None, backwards, limit };
    let (start, here) = (view.view.token(found.pos.prev())?, view.view.token(found.pos)?);
    let before = messages(view, tx, &side(true, &start, limit / 2), wanted)?;
    let after = messages(view, tx, &side(false, &here, limit - limit / 2), wanted)?;
    let last = after.chunk.last().map(|event| event.event_id.clone());
    let last_pos = match last {
        Some(id) => events::find(tx, &id)?.map_or(found.pos, |event| event.pos),
        None => found.pos,
    };
    let mut state = events::all_state_at(tx, view.room.num, view.state_pos(last_pos))?;
    if filter::is_lazy(wanted) {
        let senders: HashSet<&str> = before
            .chunk
            .iter()
            .chain(&after.chunk)
            .chain([&event])
            .map(|event| event.sender.as_str())
            .collect();
        state.retain(|event| {
            event.event_type != types::MEMBER
                || event.state_key.as_deref().is_some_and(|key| senders.contains(key))
        });
    }
    let state = view.show_state(&state)?;
    Ok(Context {
        start: before.end.unwrap_or(start),
        end: after.end.map_or_else(|| view.view.token(last_pos), Ok)?,
        event,
        before: before.chunk,
        after: after.chunk,
        state,
    })
}

/// The requested related events.
#[derive(Clone, Debug, Default)]
pub struct Related {
    /// The type of the relation.
    pub rel_type: Option<String>,
    /// The type of the events.
    pub event_type: Option<String>,
    /// True to include events that relate to related events.
    pub recurse: bool,
}

/// Returns a page of the events that relate to an event.
pub fn relations(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    event_id: &str,
    related: &Related,
    range: &Range,
) -> Result<Page, Error> {
    event(view, tx, event_id)?;
    let current = stream::current(tx)?;
    let (start, to) = bounds(view, range, current)?;
    let limit = usize::try_from(range.limit.clamp(1, MAX)).unwrap_or(1);
    let stop = to.unwrap_or(if range.backwards { Pos::ZERO } else { current });
    let newest = view.newest_seen(start);
    let mut found = Vec::new();
    let mut ids = vec![event_id.to_owned()];
    let mut level = 0;
    while !ids.is_empty() && level <= 3 && found.len() < MAX_SCANNED {
        let mut next = Vec::new();
        for id in &ids {
            let more = if range.backwards {
                events::relations(tx, id, newest.next(), stop, MAX)?
            } else {
                events::relations_after(tx, id, start, stop, MAX)?
            };
            if related.recurse {
                next.extend(more.iter().map(|event| event.event_id.clone()));
            }
            found.extend(more);
        }
        ids = next;
        level += 1;
    }
    found.retain(|event| {
        event.redacted_by.is_none()
            && related.rel_type.as_ref().is_none_or(|rel_type| event.rel_type.as_ref() == Some(rel_type))
            && related.event_type.as_ref().is_none_or(|event_type| event.event_type == *event_type)
    });
    found.sort_by_key(|event| event.pos);
    if range.backwards {
        found.reverse();
    }
    let mut chunk = Vec::new();
    let mut end = None;
    for event in found {
        if chunk.len() == limit {
            break;
        }
        end = Some(if range.backwards { event.pos.prev() } else { event.pos });
        if let Some(shown) = view.show(&event)? {
            chunk.push(shown);
        }
    }
    let end = end.filter(|_| chunk.len() == limit).map(|end| view.view.token(end)).transpose()?;
    Ok(Page { chunk, start: view.view.token(start)?, end, state: Vec::new() })
}

/// Returns the threads of a room, the latest first, and the cursor of the next page.
pub fn threads(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    from: Option<&Token>,
    limit: i64,
    participated_only: bool,
) -> Result<(Vec<ClientEvent>, Option<Token>), Error> {
    let limit = usize::try_from(limit.clamp(1, MAX)).unwrap_or(1);
    let from = from.map(|from| view.view.start(from)).transpose()?;
    let (mut chunk, mut before) = (Vec::new(), from.map_or(Pos::END, Pos::next));
    loop {
        let batch = threads::of_room(tx, view.room.num, before, BATCH)?;
        let last_batch = batch.len() < usize::try_from(BATCH).unwrap_or(0);
        for thread in batch {
            if chunk.len() == limit {
                return Ok((chunk, Some(view.view.token(before.prev())?)));
            }
            before = thread.latest_pos;
            let Some(root) = events::find(tx, &thread.root_event_id)?.filter(|_| thread.replies > 0) else {
                continue;
            };
            let Some(shown) = view.show(&root)? else { continue };
            let summary = match shown.unsigned.get("m.relations").and_then(|all| all.get(types::THREAD)) {
                // Nothing is bundled with a redacted event, but its thread still is one.
                None if root.redacted_by.is_some() => view.thread_summary(&root)?,
                summary => summary.cloned(),
            };
            let Some(summary) = summary else { continue };
            let participated = summary.get("current_user_participated");
            if !participated_only || participated == Some(&Value::Bool(true)) {
                chunk.push(shown);
            }
        }
        if last_batch {
            return Ok((chunk, None));
        }
    }
}

/// Returns the event of a room nearest to a time that the viewer may see: the first after it, or the last before it.
pub fn at_time(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    ts: Millis,
    backwards: bool,
) -> Result<Event, Error> {
    let found = if backwards {
        events::upto_ts(tx, view.room.num, ts, MAX)?
    } else {
        events::from_ts(tx, view.room.num, ts, MAX)?
    };
    found
        .into_iter()
        .find(|event| view.shows(event))
        .ok_or(Error::NotFound("Unable to find event from the given timestamp"))
}

/// The term and the limits of a search.
#[derive(Clone, Debug)]
pub struct Search {
    /// The term.
    pub term: String,
    /// The searched keys, of `content.body`, `content.name` and `content.topic`; empty for all.
    pub keys: Vec<String>,
    /// The filter of events.
    pub filter: RoomEventFilter,
    /// The maximum number of events.
    pub limit: i64,
    /// The token of the page.
    pub from: Option<Token>,
}

/// A found event, with its position and its room.
#[derive(Debug)]
pub struct Hit {
    /// The event.
    pub event: Event,
    /// Its form for the viewer.
    pub shown: ClientEvent,
    /// Its room.
    pub room: Room,
}

/// Returns events with all words in the rooms that the viewer joined or left, the newest first, and the cursor of the
/// next page.
pub fn search(
    view: &View<'_, '_>,
    viewer: &Viewer,
    search: &Search,
) -> Result<(Vec<Hit>, Option<Token>), Error> {
    let tx = view.tx;
    let mine: HashSet<RoomNum> = memberships::of_user(tx, &viewer.user_id)?
        .into_iter()
        .filter(|room| {
            !room.member.forgotten
                && matches!(room.member.membership, Membership::Join | Membership::Leave | Membership::Ban)
        })
        .map(|room| room.member.room_num)
        .collect();
    let limit = usize::try_from(search.limit.clamp(1, 100)).unwrap_or(1);
    let from = search.from.as_ref().map(|from| view.start(from)).transpose()?;
    let mut before = from.map_or(Pos::END, Pos::next);
    let (mut hits, mut scanned) = (Vec::<Hit>::new(), 0);
    loop {
        let batch = event_words::search(tx, &search.term, before, BATCH)?;
        let last_batch = batch.len() < usize::try_from(BATCH).unwrap_or(0);
        for (pos, room_num) in batch {
            before = pos;
            scanned += 1;
            if !mine.contains(&room_num) {
                continue;
            }
            if let Some(hit) = hit(view, search, pos, room_num)? {
                // Further events are only announced if the viewer sees them.
                if hits.len() == limit {
                    let last = hits.last().map_or(Pos::ZERO, |last| last.event.pos);
                    return Ok((hits, Some(view.token(last.prev())?)));
                }
                hits.push(hit);
            }
        }
        if last_batch {
            return Ok((hits, None));
        }
        if scanned >= MAX_SCANNED * 4 {
            return Ok((hits, Some(view.token(before.prev())?)));
        }
    }
}

/// Returns the event at a position, if it matches the search and the viewer sees it.
fn hit(view: &View<'_, '_>, search: &Search, pos: Pos, room_num: RoomNum) -> Result<Option<Hit>, Error> {
    let tx = view.tx;
    let Some(event) = events::by_pos(tx, pos)? else { return Ok(None) };
    let Some(key) = crate::words::key(&event.event_type) else { return Ok(None) };
    let is_wanted = |wanted: &String| wanted.strip_prefix("content.") == Some(key);
    if !(search.keys.is_empty() || search.keys.iter().any(is_wanted)) {
        return Ok(None);
    }
    let Some(room) = rooms::by_num(tx, room_num)? else { return Ok(None) };
    if !filter::allows_room(&search.filter, &room.room_id) || !filter::allows_event(&search.filter, &event) {
        return Ok(None);
    }
    let room_view = view.room(&room)?;
    let content = crate::event::content(&event, &room_view.rules)?;
    // The index knows the words of an event, and not their order.
    if !content.get(key).and_then(Value::as_str).is_some_and(|text| words::matches(text, &search.term)) {
        return Ok(None);
    }
    Ok(room_view.show(&event)?.map(|shown| Hit { event, shown, room }))
}

/// Returns stripped state, by which an invited or knocking user gets to know a room before joining: the present state
/// of the room, and last the user's own membership event, whole.
/// <https://spec.matrix.org/v1.18/client-server-api/#stripped-state>
pub fn stripped_state(
    view: &RoomView<'_, '_, '_>,
    tx: &ReadTx<'_>,
    user_id: &str,
) -> Result<Vec<Value>, Error> {
    const SHOWN: [&str; 9] = [
        types::CREATE,
        types::NAME,
        types::AVATAR,
        types::TOPIC,
        types::JOIN_RULES,
        types::CANONICAL_ALIAS,
        types::ENCRYPTION,
        types::HISTORY_VISIBILITY,
        types::GUEST_ACCESS,
    ];
    let room_num = view.room.num;
    let mut stripped = Vec::new();
    for event_type in SHOWN {
        stripped.extend(events::state(tx, room_num, event_type, "")?);
    }
    let own = events::state(tx, room_num, types::MEMBER, user_id)?;
    if let Some(sender) = own.as_ref().map(|own| &own.sender).filter(|sender| *sender != user_id) {
        stripped.extend(events::state(tx, room_num, types::MEMBER, sender)?);
    }
    let mut shown = Vec::with_capacity(stripped.len() + 1);
    for event in &stripped {
        shown.push(json!({
            "type": event.event_type,
            "state_key": event.state_key,
            "sender": event.sender,
            "content": crate::event::content(event, &view.rules)?,
        }));
    }
    if let Some(own) = own {
        let mut own = view.show_plain(&own)?;
        own.room_id = None;
        shown.push(own.to_value());
    }
    Ok(shown)
}
