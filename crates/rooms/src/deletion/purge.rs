//! Deleting rooms for good, in steps.

use reeve_accounts::audit;
use reeve_db::{Db, DbError, ReadTx, Tx};
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{Ctx, Millis, RoomNum};
use reeve_store::{
    account_data, ephemeral, event_deletion, memberships, reports, room_bin, scim_groups, silences,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;

/// The job that deletes rooms in the bin for good.
pub const JOB: JobKind<Purge, Progress, Purged> = JobKind::new("purge_room_bin");
/// The subject of the job for what is due: one is enough.
const DUE: &str = "due";
/// The subject of a job that empties the bin.
const ALL: &str = "all";
/// The number of rows that one step deletes.
const STEP_ROWS: i64 = 200;

/// A room that is not in the bin any more, and of which some rows are left.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Remains {
    num: RoomNum,
    room_id: String,
}

/// The rooms that a job deletes for good.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purge {
    /// Those whose time is over.
    Due,
    /// Those that were deleted up to a time, in milliseconds.
    DeletedUntil(Millis),
    /// One that the order took out of the bin.
    One(Remains),
}

/// The progress of the job.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Progress {
    /// The room whose rows are being deleted.
    current: Option<Remains>,
    /// The number of rooms that are gone.
    purged: i64,
}

/// The outcome of the job.
#[derive(Debug, Serialize)]
pub struct Purged {
    /// The number of rooms that were deleted for good.
    pub purged: i64,
}

/// Takes a room out of the bin, and orders that everything stored of it is deleted; returns the id of the job.
pub fn order(tx: &mut Tx<'_>, ctx: &Ctx, room_id: &str) -> Result<String, Error> {
    let room = room_bin::find(tx, room_id)?.ok_or(Error::NotInBin)?.room;
    room_bin::delete(tx, room.num)?;
    let one = Purge::One(Remains { num: room.num, room_id: room_id.to_owned() });
    let job = JOB.enqueue(tx, room_id, &one, room.depth, ctx.now)?;
    audit::record(tx, ctx, "room.purge", room_id, &json!({ "job": job }))?;
    Ok(job)
}

/// Orders that all rooms that are in the bin are deleted for good, and returns the id of the job.
pub fn empty(tx: &mut Tx<'_>, ctx: &Ctx) -> Result<String, Error> {
    let job = JOB.enqueue(tx, ALL, &Purge::DeletedUntil(ctx.now), 0, ctx.now)?;
    audit::record(tx, ctx, "room.empty_bin", "rooms", &json!({ "job": job }))?;
    Ok(job)
}

/// Queues the job for rooms whose time is over, if there are any.
pub async fn purge_due(db: &Db, now: Millis) -> Result<(), DbError> {
    if db.read(move |tx| room_bin::due(tx, now)).await?.is_some() {
        db.write(move |tx| JOB.enqueue_once(tx, DUE, &Purge::Due, 0, now)).await?;
    }
    Ok(())
}

/// Returns the job.
pub fn job() -> Kind {
    JOB.with_step(step)
}

fn step(tx: &mut Tx<'_>, work: Work<'_, Purge, Progress>) -> Result<Step<Progress, Purged>, StepError> {
    let Work { payload, mut progress, done, now, .. } = work;
    let Some(current) = progress.current.take() else {
        let Some(next) = next(tx, payload, &progress, now)? else {
            return Ok(Step::Done { result: Purged { purged: progress.purged }, done });
        };
        room_bin::delete(tx, next.num)?;
        return Ok(Step::More { progress: Progress { current: Some(next), ..progress }, done });
    };
    let deleted = delete_some(tx, current.num, &current.room_id)?;
    if deleted == 0 {
        progress.purged += 1;
    } else {
        progress.current = Some(current);
    }
    Ok(Step::More { progress, done: done.saturating_add(deleted) })
}

/// Returns the next room of the job.
fn next(
    tx: &ReadTx<'_>,
    payload: &Purge,
    progress: &Progress,
    now: Millis,
) -> Result<Option<Remains>, DbError> {
    let found = match payload {
        Purge::Due => room_bin::due(tx, now)?,
        Purge::DeletedUntil(until) => room_bin::deleted_until(tx, *until)?,
        Purge::One(remains) => return Ok((progress.purged == 0).then(|| remains.clone())),
    };
    Ok(found.map(|found| Remains { num: found.room.num, room_id: found.room.room_id }))
}

/// Deletes a part of the rows that a room without a row of its own has left; returns their number.
pub(super) fn delete_some(tx: &mut Tx<'_>, num: RoomNum, room_id: &str) -> Result<i64, DbError> {
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    for delete in
        [reports::delete_some_of_room, room_bin::delete_some_reports, ephemeral::delete_some_of_room]
    {
        let deleted = delete(tx, num, STEP_ROWS)?;
        if deleted > 0 {
            return Ok(count(deleted));
        }
    }
    let positions = event_deletion::some_of_room(tx, num, STEP_ROWS)?;
    if !positions.is_empty() {
        event_deletion::delete(tx, &positions)?;
        return Ok(i64::try_from(positions.len()).unwrap_or(STEP_ROWS));
    }
    let members = memberships::delete_some_of_room(tx, num, STEP_ROWS)?;
    if members.is_empty() {
        scim_groups::delete(tx, room_id)?;
    }
    for member in &members {
        account_data::delete_of_room(tx, member, room_id)?;
        silences::delete(tx, member, num)?;
    }
    Ok(i64::try_from(members.len()).unwrap_or(STEP_ROWS))
}
