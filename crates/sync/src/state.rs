//! The state around a part of a timeline.

use std::collections::HashSet;

use reeve_db::{DbError, ReadTx};
use reeve_model::Pos;
use reeve_rooms::types;
use reeve_rooms::view::RoomView;
use reeve_store::events::{self, Event};

use crate::room::{Timeline, needed};

/// A part of a timeline, and what the client needs around it.
pub(crate) struct Around<'a, 't, 'c> {
    /// The room as the viewer sees it.
    pub(crate) view: &'a RoomView<'a, 't, 'c>,
    /// The timeline.
    pub(crate) timeline: &'a Timeline,
    /// True if the client needs the whole state, and not only changes.
    pub(crate) whole: bool,
    /// The position up to which the client knows the state.
    pub(crate) from: Pos,
    /// The end of the timeline.
    pub(crate) until: Pos,
    /// True if the client takes the state from here alone, and not also from the timeline.
    pub(crate) after: bool,
}

fn key(event: &Event) -> (&str, Option<&str>) {
    (&event.event_type, event.state_key.as_deref())
}

impl Around<'_, '_, '_> {
    /// Returns the position at which the state is read: the start of the timeline, or its end, as far as the viewer may
    /// know the state there.
    fn at(&self) -> Pos {
        self.view.state_pos(if self.after { self.until } else { self.timeline.start.min(self.until) })
    }

    /// Returns the state, with all members in it.
    pub(crate) fn events(&self, tx: &ReadTx<'_>) -> Result<Vec<Event>, DbError> {
        let room_num = self.view.room.num;
        let mut state = if self.whole {
            events::all_state_at(tx, room_num, self.at())?
        } else {
            events::state_changed(tx, room_num, self.from, self.at())?
        };
        if !self.after && !self.timeline.left_out.is_empty() {
            // The client updates the state by the timeline, which does not contain these events.
            let newer: HashSet<_> = self.timeline.left_out.iter().map(key).collect();
            state.retain(|event| !newer.contains(&key(event)));
            state.extend(self.timeline.left_out.iter().cloned());
        }
        Ok(state)
    }

    /// Adds the members who appear in the timeline and those in `others`. Removes all other members from the whole
    /// state. A change of membership is never removed, since nothing else would report it.
    pub(crate) fn lazily(
        &self,
        tx: &ReadTx<'_>,
        state: &mut Vec<Event>,
        others: &[String],
    ) -> Result<(), DbError> {
        let stored = &self.timeline.stored;
        let mut wanted: HashSet<&str> = stored.iter().map(|event| event.sender.as_str()).collect();
        if self.after {
            wanted.extend(needed(stored));
        }
        wanted.extend(others.iter().map(String::as_str));
        if self.whole {
            state.retain(|event| {
                event.event_type != types::MEMBER
                    || event.state_key.as_deref().is_some_and(|key| wanted.contains(key))
            });
        }
        let known = state.iter().filter(|event| event.event_type == types::MEMBER);
        let known: HashSet<String> = known.filter_map(|event| event.state_key.clone()).collect();
        for user_id in wanted.into_iter().filter(|user_id| !known.contains(*user_id)) {
            state.extend(events::state_at(tx, self.view.room.num, types::MEMBER, user_id, self.at())?);
        }
        Ok(())
    }
}
