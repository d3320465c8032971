//! Bringing a room back: the room itself at once, its reports and members in steps.

use std::sync::Arc;

use reeve_accounts::audit;
use reeve_db::Tx;
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{Ctx, Membership, Millis, Pos, RoomNum};
use reeve_store::departures::{self, ForcedLeave};
use reeve_store::rooms::{self, Room};
use reeve_store::{events, kept, memberships, room_bin, users};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::bin::{STEP_REPORTS, unblock};
use crate::error::Error;
use crate::membership::{self, JoinedBy};
use crate::{Home, event};

/// The job that brings the reports and members of a room back.
pub const JOB: JobKind<Payload, Progress, Outcome> = JobKind::new("restore_room");
/// The number of members that one step lets join.
const STEP_MEMBERS: i64 = 10;
/// The maximum number of members that the outcome names.
const MAX_NAMED: usize = 1000;

/// The room whose reports and members come back.
#[derive(Debug, Deserialize, Serialize)]
pub struct Payload {
    room_num: RoomNum,
    /// The position after which its members were made to leave.
    from_pos: Pos,
    aliases: Vec<String>,
    taken_aliases: Vec<String>,
}

/// The progress of the job.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Progress {
    /// True if all reports are back.
    reports: bool,
    /// The position of the last forced leave that was looked at.
    upto: Pos,
    rejoined: i64,
    failed: i64,
    failed_users: Vec<String>,
}

/// The outcome of the job.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The number of members who joined again.
    pub rejoined: i64,
    /// The number of members who could not.
    pub failed: i64,
    /// The first of those, up to 1000.
    pub failed_users: Vec<String>,
    /// The aliases that the room has again.
    pub aliases: Vec<String>,
    /// The aliases that another room has now.
    pub taken_aliases: Vec<String>,
}

/// Brings a room back from the bin, with its history, its state and the aliases that are still free, and orders that its
/// members join again; returns the id of the job. A block that the deletion set ends.
pub fn order(tx: &mut Tx<'_>, ctx: &Ctx, room_id: &str) -> Result<String, Error> {
    let found = room_bin::find(tx, room_id)?.ok_or(Error::NotInBin)?;
    let (room, aliases) = room_bin::put_back(tx, &found)?;
    let unblocked = unblock(tx, room_id, found.effects)?;
    let changes = json!({ "aliases": aliases.restored, "unblocked": unblocked, "published": room.published });
    let payload = Payload {
        room_num: room.num,
        from_pos: found.effects.from_pos,
        aliases: aliases.restored,
        taken_aliases: aliases.taken,
    };
    let total = departures::count_of_room(tx, room_id, found.effects.from_pos)?;
    let job = JOB.enqueue(tx, room_id, &payload, total, ctx.now)?;
    audit::record(tx, ctx, "room.restore", room_id, &changes)?;
    Ok(job)
}

/// Ends the job of a room that is deleted again. Returns the position after which the members left whom it was bringing back;
/// `None` if there is no such job.
pub(super) fn cancel(tx: &mut Tx<'_>, room_id: &str, now: Millis) -> Result<Option<Pos>, Error> {
    let Some(job) = JOB.unfinished(tx, room_id)? else { return Ok(None) };
    JOB.cancel(tx, &job, now)?;
    Ok(Some(JOB.payload(&job)?.from_pos))
}

/// Returns the job.
pub fn job(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    JOB.with_step(move |tx, work| step(tx, &home, work))
}

fn step(
    tx: &mut Tx<'_>,
    home: &Home,
    work: Work<'_, Payload, Progress>,
) -> Result<Step<Progress, Outcome>, StepError> {
    let Work { subject: room_id, payload, mut progress, done, now } = work;
    if !progress.reports {
        progress.reports = room_bin::put_back_some_reports(tx, payload.room_num, STEP_REPORTS)? == 0;
        return Ok(Step::More { progress, done });
    }
    let after = progress.upto.max(payload.from_pos);
    let some = match rooms::by_num(tx, payload.room_num)? {
        Some(mut room) => {
            let some = departures::some_of_room(tx, room_id, after, STEP_MEMBERS)?;
            for leave in &some {
                match rejoin(tx, home, &mut room, leave, now) {
                    Ok(true) => progress.rejoined += 1,
                    Ok(false) => {}
                    Err(Error::Db(error)) => return Err(error.into()),
                    Err(refused) => {
                        tracing::warn!(user_id = leave.user_id, room_id, %refused, "could not be brought back");
                        progress.failed += 1;
                        if progress.failed_users.len() < MAX_NAMED {
                            progress.failed_users.push(leave.user_id.clone());
                        }
                    }
                }
            }
            some
        }
        None => Vec::new(),
    };
    let Some(last) = some.last() else {
        let Progress { rejoined, failed, failed_users, .. } = progress;
        let (aliases, taken_aliases) = (payload.aliases.clone(), payload.taken_aliases.clone());
        let result = Outcome { rejoined, failed, failed_users, aliases, taken_aliases };
        return Ok(Step::Done { result, done });
    };
    progress.upto = last.pos;
    let done = done.saturating_add(i64::try_from(some.len()).unwrap_or(STEP_MEMBERS));
    Ok(Step::More { progress, done })
}

/// Lets a member join again who was joined when the room was deleted; returns false if the user was not, or had another
/// membership since. The rules of the room are not asked, as they were not when the member had to leave: otherwise nobody could
/// come back into a room to which one must be invited. A deactivated account stays out, and the room becomes one of those to
/// which it comes back if it is restored.
fn rejoin(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    leave: &ForcedLeave,
    now: Millis,
) -> Result<bool, Error> {
    let member = memberships::find(tx, &leave.user_id, room.num)?;
    let left = events::by_pos(tx, leave.pos)?.filter(|event| event.room_num == room.num);
    let (Some(left), Some(_)) = (left, member.filter(|member| member.event_pos == leave.pos)) else {
        return Ok(false);
    };
    if events::replaced_by(tx, &left)?.is_none_or(|before| before.membership != Some(Membership::Join)) {
        return Ok(false);
    }
    if let Some(user) = users::find(tx, &leave.user_id)?.filter(|user| user.deactivated) {
        if let Some(kept) = kept::open(tx, user.num, now)? {
            kept::keep_membership(tx, kept, &room.room_id, Membership::Join)?;
        }
        return Err(Error::forbidden(event::DEACTIVATED));
    }
    if rooms::blocked_by(tx, &room.room_id)?.is_some() {
        return Err(Error::Blocked);
    }
    membership::join_as(tx, home, room, &leave.user_id, JoinedBy::Administrator, now)?;
    Ok(true)
}
