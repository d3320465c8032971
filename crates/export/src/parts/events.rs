//! Events of rooms: those that the person sent, and those that they can see.

use reeve_db::ReadTx;
use reeve_model::{Pos, RoomNum};
use reeve_rooms::view::{RoomView, View, Viewer};
use reeve_store::events::{self, Event};
use reeve_store::stream::Span;
use reeve_store::{memberships, rooms};

use super::{PAGE, Page, Source, is_full};
use crate::error::Failure;

/// A place in a walk over the rooms of the person.
#[derive(Clone, Default)]
pub(super) struct Walk {
    /// The last room that is done.
    beyond: RoomNum,
    /// The next room, once it is begun.
    room: RoomNum,
    /// The position of its last event that is done.
    after: Pos,
}

/// Events of a room to write, of which none may be left.
struct Found {
    events: Vec<Event>,
    /// The position after which the room goes on; `None` at its end.
    after: Option<Pos>,
}

/// Finds the next events of a room after a position.
type Find = fn(&Source, &ReadTx<'_>, &RoomView<'_, '_, '_>, Pos) -> Result<Found, Failure>;

/// Returns some of the events that the person sent. Redacted ones are as redacted.
pub(super) fn sent(source: &Source, tx: &ReadTx<'_>, walk: &Walk) -> Result<Page<Walk>, Failure> {
    step(source, tx, walk, |source, tx, view, after| {
        let span = Span { after, upto: source.upto };
        let mut events = events::of_sender_in(tx, &source.export.user_id, view.room.num, span, PAGE)?;
        let after = events.last().filter(|_| is_full(&events)).map(|last| last.pos);
        // What was purged is in nobody's timeline, though some of it is stored still.
        events.retain(|event| event.pos >= view.room.purged_pos);
        Ok(Found { events, after })
    })
}

/// Returns some of the events that the person can see by the rules of the room.
pub(super) fn seen(source: &Source, tx: &ReadTx<'_>, walk: &Walk) -> Result<Page<Walk>, Failure> {
    step(source, tx, walk, |source, tx, view, after| {
        let Some(after) = view.oldest_seen(after) else {
            return Ok(Found { events: Vec::new(), after: None });
        };
        let mut events = events::after(tx, view.room.num, after, source.upto, PAGE)?;
        let after = events.last().filter(|_| is_full(&events)).map(|last| last.pos);
        events.retain(|event| view.shows(event));
        Ok(Found { events, after })
    })
}

/// Returns the next events of the walk, all of one room.
fn step(source: &Source, tx: &ReadTx<'_>, walk: &Walk, find: Find) -> Result<Page<Walk>, Failure> {
    let user_id = &source.export.user_id;
    let Some(member) = memberships::some_of_user(tx, user_id, walk.beyond, 1)?.pop() else {
        return Ok(Page::new(None));
    };
    let done = Walk { beyond: member.room_num, ..Walk::default() };
    let Some(room) = rooms::by_num(tx, member.room_num)? else { return Ok(Page::new(Some(done))) };
    // The room of the page before may have been deleted.
    let after = if walk.room == room.num { walk.after } else { Pos::ZERO };
    let viewer = Viewer { user_id: user_id.clone(), user_num: source.export.user_num, ..Viewer::default() };
    let view = View::of(tx, viewer, source.began)?;
    let view = view.room(&room)?;
    let found = find(source, tx, &view, after)?;
    let next = found.after.map_or(done, |after| Walk { room: room.num, after, ..walk.clone() });
    let mut page = Page::new(Some(next));
    for event in &found.events {
        page.add(&view.show_plain(event)?)?;
    }
    Ok(page)
}
