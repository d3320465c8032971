//! Purging of old history. It disappears from all timelines at one moment; a durable job then deletes the rows that
//! nothing needs any more. Present state stays, however old.

use std::sync::Arc;

use reeve_db::Tx;
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{Ctx, Millis, Pos, RoomNum};
use reeve_store::{event_deletion, events, rooms};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Home;
use crate::error::Error;

/// The job that deletes the events. Its progress is the position up to which events are done. Its outcome is empty.
pub const JOB: JobKind<Payload, Pos, ()> = JobKind::new("purge_history");
/// The number of events in one step.
const STEP_EVENTS: i64 = 200;

/// The place at which the history begins afterwards.
#[derive(Clone, Debug)]
pub enum UpTo {
    /// At this event.
    Event(String),
    /// At the last event at or before this time, in milliseconds; nothing is purged if there is none.
    Time(Millis),
}

/// The payload of the job.
#[derive(Debug, Deserialize, Serialize)]
pub struct Payload {
    room_num: RoomNum,
    /// The position of the first event that stays; 0 if all stay.
    upto: Pos,
    delete_local: bool,
}

/// Orders a purge and returns the id of the job. `delete_local` deletes the events of users of this server, too, which
/// no other server could return.
pub fn order(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    room_id: &str,
    upto: &UpTo,
    delete_local: bool,
) -> Result<String, Error> {
    let room = rooms::find(tx, room_id)?;
    let (room, event) = match upto {
        UpTo::Event(event_id) => {
            let event = events::find(tx, event_id)?
                .ok_or_else(|| Error::Missing(format!("Could not find event {event_id}")))?;
            let room = room
                .filter(|room| room.num == event.room_num)
                .ok_or_else(|| Error::Refused("Event is for wrong room.".to_owned()))?;
            (room, Some(event))
        }
        UpTo::Time(ts) => {
            let room = room.ok_or(Error::NotFound("there is no event to be purged"))?;
            let event = events::upto_ts(tx, room.num, *ts, 1)?.pop();
            (room, event)
        }
    };
    let upto = event.as_ref().map_or(Pos::ZERO, |event| event.pos);
    rooms::set_purged(tx, room.num, upto)?;
    let payload = Payload { room_num: room.num, upto, delete_local };
    let job = JOB.enqueue(tx, room_id, &payload, 0, ctx.now)?;
    let changes =
        json!({ "up_to_event_id": event.map(|event| event.event_id), "delete_local_events": delete_local });
    reeve_accounts::audit::record(tx, ctx, "room.purge_history", room_id, &changes)?;
    Ok(job)
}

/// Returns the job.
pub fn job(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    JOB.with_step(move |tx, work| step(tx, &home, work))
}

fn step(tx: &mut Tx<'_>, home: &Home, work: Work<'_, Payload, Pos>) -> Result<Step<Pos, ()>, StepError> {
    let Work { payload, progress: after, done, .. } = work;
    let batch = event_deletion::purgeable(tx, payload.room_num, after, payload.upto, STEP_EVENTS)?;
    let Some((last, _)) = batch.last() else {
        return Ok(Step::Done { result: (), done });
    };
    let progress = *last;
    let done = done.saturating_add(i64::try_from(batch.len()).unwrap_or(STEP_EVENTS));
    let (deleted, kept): (Vec<_>, Vec<_>) =
        batch.into_iter().partition(|(_, sender)| payload.delete_local || !home.is_local(sender));
    let positions = |events: Vec<(Pos, String)>| events.into_iter().map(|(pos, _)| pos).collect::<Vec<_>>();
    event_deletion::delete(tx, &positions(deleted))?;
    event_deletion::put_aside(tx, &positions(kept))?;
    Ok(Step::More { progress, done })
}
