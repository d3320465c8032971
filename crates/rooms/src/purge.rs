//! Purging old history. From one moment to the next it is in nobody's timeline; a durable job then deletes what nothing
//! needs any more. What holds in the room at present stays, however old.

use std::sync::Arc;

use reeve_db::Tx;
use reeve_jobs::{Job, Kind, Step, StepError};
use reeve_model::{Ctx, Millis, Pos, RoomNum};
use reeve_store::{events, rooms};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Home;
use crate::error::Error;

/// The name of the job.
pub const JOB: &str = "purge_history";
/// How many events one step looks at.
const STEP_EVENTS: i64 = 200;

/// Where the history begins afterwards.
#[derive(Clone, Debug)]
pub enum UpTo {
    /// With this event.
    Event(String),
    /// With the last event at or before this time, in milliseconds; nothing is purged where there is none.
    Time(Millis),
}

#[derive(Deserialize, Serialize)]
struct Progress {
    room_num: RoomNum,
    /// The position of the first event that stays; 0 where all stay.
    upto: Pos,
    /// Events up to here are done.
    after: Pos,
    delete_local: bool,
}

/// Orders a purge; answers the id of the job. `delete_local` deletes the events of users of this server, too, which no
/// other server could give back.
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
    let progress = Progress { room_num: room.num, upto, after: Pos::ZERO, delete_local };
    let payload = serde_json::to_string(&progress).map_err(Error::internal)?;
    let job = reeve_jobs::enqueue(tx, JOB, room_id, &payload, 0, ctx.now)?;
    let changes =
        json!({ "up_to_event_id": event.map(|event| event.event_id), "delete_local_events": delete_local });
    reeve_accounts::audit::record(tx, ctx, "room.purge_history", room_id, &changes)?;
    Ok(job)
}

/// The job.
pub fn job(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    Kind { name: JOB, step: Arc::new(move |tx, job, _| step(tx, &home, job)) }
}

fn step(tx: &mut Tx<'_>, home: &Home, job: &Job) -> Result<Step, StepError> {
    let mut progress: Progress = serde_json::from_str(&job.payload)
        .map_err(|error| StepError::Hopeless(format!("the payload cannot be read: {error}")))?;
    let batch = events::purgeable(tx, progress.room_num, progress.after, progress.upto, STEP_EVENTS)?;
    let Some((last, _)) = batch.last() else {
        return Ok(Step::Done { result: "null".to_owned(), done: job.done });
    };
    progress.after = *last;
    let done = job.done.saturating_add(i64::try_from(batch.len()).unwrap_or(STEP_EVENTS));
    let (deleted, kept): (Vec<_>, Vec<_>) =
        batch.into_iter().partition(|(_, sender)| progress.delete_local || !home.is_local(sender));
    let positions = |events: Vec<(Pos, String)>| events.into_iter().map(|(pos, _)| pos).collect::<Vec<_>>();
    events::delete(tx, &positions(deleted))?;
    events::put_aside(tx, &positions(kept))?;
    let payload = serde_json::to_string(&progress).map_err(|error| StepError::Hopeless(error.to_string()))?;
    Ok(Step::More { payload, done, total: job.total.max(done) })
}
