//! Propagation of changed names and avatars to the rooms of an account, whose membership events contain them.

use reeve_db::{DbError, Tx};
use reeve_jobs::JobKind;
use reeve_model::{Ctx, Membership, RoomNum, User, UserNum};
use reeve_store::memberships;
use serde::{Deserialize, Serialize};

/// The job that copies a new name or avatar into the rooms of an account. Its progress is the number of the last room
/// that is done.
pub const SPREAD_JOB: JobKind<SpreadPayload, RoomNum, SpreadOutcome> =
    JobKind::new("update_profile_in_rooms");

/// The account whose profile changed.
#[derive(Debug, Deserialize, Serialize)]
pub struct SpreadPayload {
    /// The number of the account.
    pub user_num: UserNum,
}

/// The result of the job, which is empty.
#[derive(Debug, Serialize)]
pub struct SpreadOutcome {}

/// Queues the job for a new name or avatar of an account.
pub(crate) fn spread(tx: &mut Tx<'_>, ctx: &Ctx, before: &User, after: &User) -> Result<(), DbError> {
    let same = before.displayname == after.displayname && before.avatar_url == after.avatar_url;
    // A name that a shadow-banned account gives itself reaches nobody; one that an administrator gives it does.
    // Suspended accounts change nothing in rooms, even if an administrator renames them.
    if same || after.deactivated || after.suspended || (after.shadow_banned && ctx.actor.is_none()) {
        return Ok(());
    }
    let rooms = memberships::count_of_user_in(tx, &after.user_id, Membership::Join)?;
    if rooms > 0 {
        SPREAD_JOB.enqueue(tx, &after.user_id, &SpreadPayload { user_num: after.num }, rooms, ctx.now)?;
    }
    Ok(())
}
