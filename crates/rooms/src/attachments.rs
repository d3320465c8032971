//! Media in the events of a room.

use std::collections::HashSet;

use reeve_db::ReadTx;
use reeve_model::{Pos, RoomNum};
use reeve_store::events::{self, Event};
use serde_json::Value;

use crate::error::Error;

/// The maximum number of events that are read, the newest first.
const MAX_SCANNED: usize = 200_000;
/// The number of events in one read.
const BATCH: i64 = 500;
/// The paths of media in events: files and their thumbnails, plain and encrypted.
const PLACES: [&str; 4] =
    ["/content/url", "/content/info/thumbnail_url", "/content/file/url", "/content/info/thumbnail_file/url"];

/// Returns the media (`mxc://…`) in an event, even if it is redacted.
pub fn of_event(event: &Event) -> Result<Vec<String>, Error> {
    if !event.json.contains("mxc://") {
        return Ok(Vec::new());
    }
    let json: Value = serde_json::from_str(&event.json).map_err(Error::internal)?;
    let media = PLACES.iter().filter_map(|place| json.pointer(place)?.as_str());
    Ok(media.filter(|media| media.starts_with("mxc://")).map(str::to_owned).collect())
}

/// Returns the media (`mxc://…`) in the events of a room, including redacted ones, the newest first, each once.
pub fn of_room(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<Vec<String>, Error> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let (mut before, mut scanned) = (Pos::END, 0);
    while scanned < MAX_SCANNED {
        let batch = events::before(tx, room_num, before, Pos::ZERO, BATCH)?;
        let Some(last) = batch.last() else { break };
        before = last.pos;
        scanned += batch.len();
        for event in &batch {
            for media in of_event(event)? {
                if seen.insert(media.clone()) {
                    found.push(media);
                }
            }
        }
    }
    Ok(found)
}
