//! The words by which events are found, and the job that indexes those of events from before there was this index.

use std::collections::HashMap;
use std::sync::Arc;

use reeve_db::{DbError, Tx};
use reeve_jobs::{Job, Kind, Step, StepError};
use reeve_model::{Pos, RoomNum};
use reeve_store::events::{self, Event};
use reeve_store::rooms;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::types;

/// The name of the job, which a migration queues.
const JOB: &str = "index_words";
/// How many events one step looks at.
const STEP_EVENTS: i64 = 500;

/// The key of the content in which the text stands by which events of a type are found.
pub(crate) fn key(event_type: &str) -> Option<&'static str> {
    match event_type {
        types::MESSAGE => Some("body"),
        types::NAME => Some("name"),
        types::TOPIC => Some("topic"),
        _ => None,
    }
}

/// The text by which an event is found.
pub(crate) fn text<'c>(event_type: &str, content: &'c Map<String, Value>) -> Option<&'c str> {
    content.get(key(event_type)?)?.as_str()
}

#[derive(Deserialize, Serialize)]
struct Progress {
    /// Events at this position and later are done.
    before: Pos,
}

/// The job.
pub fn job() -> Kind {
    Kind { name: JOB, step: Arc::new(|tx, job, _| step(tx, job)) }
}

fn step(tx: &mut Tx<'_>, job: &Job) -> Result<Step, StepError> {
    let hopeless = |error: serde_json::Error| StepError::Hopeless(error.to_string());
    let mut progress: Progress = serde_json::from_str(&job.payload).map_err(hopeless)?;
    let batch = events::some_before(tx, progress.before, STEP_EVENTS)?;
    let Some(last) = batch.last() else {
        return Ok(Step::Done { result: "null".to_owned(), done: job.done });
    };
    progress.before = last.pos;
    let done = job.done.saturating_add(i64::try_from(batch.len()).unwrap_or(STEP_EVENTS));
    let mut purged = HashMap::new();
    for event in &batch {
        index(tx, event, &mut purged)?;
    }
    let payload = serde_json::to_string(&progress).map_err(hopeless)?;
    Ok(Step::More { payload, done, total: job.total.max(done) })
}

/// Indexes an event, unless it is redacted, purged, or of a room that is gone. `purged` remembers up to where rooms are.
fn index(tx: &mut Tx<'_>, event: &Event, purged: &mut HashMap<RoomNum, Option<Pos>>) -> Result<(), DbError> {
    #[derive(Deserialize)]
    struct Wire {
        content: Map<String, Value>,
    }
    if event.redacted_by.is_some() || key(&event.event_type).is_none() {
        return Ok(());
    }
    let purged_pos = if let Some(known) = purged.get(&event.room_num) {
        *known
    } else {
        let found = rooms::by_num(tx, event.room_num)?.map(|room| room.purged_pos);
        *purged.entry(event.room_num).or_insert(found)
    };
    if purged_pos.is_none_or(|purged_pos| event.pos < purged_pos) {
        return Ok(());
    }
    // An event that cannot be read has no words.
    let Ok(Wire { content }) = serde_json::from_str(&event.json) else { return Ok(()) };
    if let Some(text) = text(&event.event_type, &content) {
        // Somebody may have sent it after the job was queued, or the step runs again.
        events::forget_words(tx, event.pos)?;
        events::index_words(tx, event.pos, text)?;
    }
    Ok(())
}
