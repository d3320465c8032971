//! Events that are bundled with another one. Each is checked by itself.

use reeve_model::Pos;
use reeve_store::events::{self, Event};
use reeve_store::stream::Span;
use reeve_store::threads::{self, Thread};
use serde_json::{Map, Value, json};

use super::{ClientEvent, RoomView};
use crate::error::Error;
use crate::types;

/// The maximum number of references that are bundled with an event.
const MAX_REFERENCES: usize = 100;
/// The maximum number of edits of an event among which a valid one is searched.
const MAX_EDITS: usize = 20;
/// The maximum number of reads of related events, some of which are not visible.
const MAX_READS: usize = 100;

impl RoomView<'_, '_, '_> {
    /// Returns the newest events with one relation to an event that are shown to the viewer, without redacted ones.
    fn newest_related(&self, event: &Event, rel_type: &str, limit: usize) -> Result<Vec<Event>, Error> {
        let (mut found, mut upto) = (Vec::new(), Pos::END);
        for _ in 0..MAX_READS {
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let batch = events::newest_related(
                self.view.tx,
                &event.event_id,
                rel_type,
                self.newest_seen(upto),
                self.view.excluded.as_deref(),
                most,
            )?;
            let last = batch.last().filter(|_| batch.len() == limit).map(|last| last.pos);
            found.extend(batch.into_iter().filter(|event| self.shows(event)));
            match last {
                Some(last) if found.len() < limit => upto = last.prev(),
                Some(_) | None => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Adds the bundled events that are shown to the viewer.
    /// <https://spec.matrix.org/v1.18/client-server-api/#aggregations-of-child-events>
    pub(super) fn bundle(&self, event: &Event, shown: &mut ClientEvent) -> Result<(), Error> {
        let tx = self.view.tx;
        if event.redacted_by.is_some() || !events::is_related(tx, &event.event_id)? {
            return Ok(());
        }
        let mut relations = Map::new();
        if event.state_key.is_none() && event.rel_type.as_deref() != Some(types::REPLACE) {
            if let Some(edit) = self.latest_edit(event)? {
                let edit = self.show_plain(&edit)?;
                relations.insert(types::REPLACE.to_owned(), edit.to_value());
            }
            if event.rel_type.as_deref() != Some(types::THREAD)
                && let Some(thread) = self.thread_summary(event)?
            {
                relations.insert(types::THREAD.to_owned(), thread);
            }
        }
        let references = self.newest_related(event, types::REFERENCE, MAX_REFERENCES)?;
        let chunk: Vec<Value> =
            references.iter().rev().map(|event| json!({ "event_id": event.event_id })).collect();
        if !chunk.is_empty() {
            relations.insert(types::REFERENCE.to_owned(), json!({ "chunk": chunk }));
        }
        if !relations.is_empty() {
            shown.unsigned.insert("m.relations".to_owned(), Value::Object(relations));
        }
        Ok(())
    }

    /// Returns the newest valid edit of an event.
    fn latest_edit(&self, event: &Event) -> Result<Option<Event>, Error> {
        let edits = self.newest_related(event, types::REPLACE, MAX_EDITS)?;
        Ok(edits.into_iter().find(|edit| {
            edit.sender == event.sender && edit.event_type == event.event_type && edit.state_key.is_none()
        }))
    }

    /// Returns the number of replies in a thread that are shown to the viewer.
    fn count_replies(&self, root: &Event, thread: &Thread) -> Result<i64, Error> {
        let (tx, span) = (self.view.tx, Span { after: root.pos, upto: thread.latest_pos });
        let hidden = self.parts(span, false);
        let mut count = thread.replies;
        if !hidden.is_empty() {
            // A thread grows at its end: in that part, replies are not counted one by one.
            count = if self.is_open(thread.latest_pos.prev()) {
                count - threads::replies_in(tx, &root.event_id, &hidden)?
            } else {
                threads::replies_in(tx, &root.event_id, &self.parts(span, true))?
            };
        }
        if let Some(excluded) = &self.view.excluded {
            count -= threads::replies_by(tx, &root.event_id, &self.parts(span, true), excluded)?;
        }
        Ok(count)
    }

    /// Returns the summary of the thread with this root; `None` if no reply is shown to the viewer.
    pub fn thread_summary(&self, root: &Event) -> Result<Option<Value>, Error> {
        let tx = self.view.tx;
        let Some(thread) = threads::find(tx, &root.event_id)?.filter(|thread| thread.replies > 0) else {
            return Ok(None);
        };
        let Some(latest) = self.newest_related(root, types::THREAD, 1)?.pop() else { return Ok(None) };
        let mut shown = self.show_plain(&latest)?;
        if let Some(edit) = self.latest_edit(&latest)? {
            let edit = self.show_plain(&edit)?.to_value();
            shown.unsigned.insert("m.relations".to_owned(), json!({ types::REPLACE: edit }));
        }
        let participated = match &self.view.viewer {
            Some(viewer) => {
                root.sender == viewer.user_id || threads::has_replied(tx, &root.event_id, &viewer.user_id)?
            }
            None => false,
        };
        Ok(Some(json!({
            "latest_event": shown.to_value(),
            "count": self.count_replies(root, &thread)?,
            "current_user_participated": participated,
        })))
    }
}
