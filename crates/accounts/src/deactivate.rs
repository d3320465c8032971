//! Retiring accounts.
//!
//! What lets an account act ends at once, in one transaction. What it leaves behind, of which there may be very
//! much, is cleared by a durable job in short steps.

use reeve_db::Tx;
use reeve_jobs::JobKind;
use reeve_model::{Ctx, Membership, RoomNum, User, UserNum};
use reeve_store::{
    access_tokens, account_data, key_backups, memberships, profile_fields, pushers, threepids, users,
    validity,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::sessions::{self, Spared};
use crate::{account, audit, cross_signing};

/// The job that clears what a deactivated account leaves behind.
pub const JOB: JobKind<Payload, Progress, Outcome> = JobKind::new("deactivate_user");

/// The account whose leavings are cleared.
#[derive(Debug, Deserialize, Serialize)]
pub struct Payload {
    /// The number of the account.
    pub user_num: UserNum,
}

/// How far the job is.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Progress {
    /// Rooms up to this number are done, those that could not be left too.
    pub upto: RoomNum,
    /// The parts cleared so far.
    pub cleared: Cleared,
}

/// Counts of the parts that the job cleared.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Cleared {
    /// The number of rooms left.
    pub rooms_left: i64,
    /// The ids of rooms that could not be left.
    pub rooms_failed: Vec<String>,
    /// The number of pieces of account data deleted.
    pub account_data: i64,
}

/// The result of the job.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// All is cleared.
    Cleared(Cleared),
    /// The account was reactivated meanwhile, which ended the job.
    Reactivated {
        /// True.
        reactivated: bool,
    },
}

/// Deactivates an account, and erases it if `erase` says so: no session, key, password or address stays, nobody acts
/// as it any more. Doing it again does no harm; erasing can be added later. Answers the id of the job that
/// clears the rest. The flags set by administrators, external ids, media and the history of connections stay.
pub fn deactivate(tx: &mut Tx<'_>, ctx: &Ctx, user: &User, erase: bool) -> Result<String, Error> {
    threepids::delete_of_user(tx, user.num)?;
    sessions::end_all(tx, user.num, &Spared::default())?;
    access_tokens::delete_acting_as(tx, user.num)?;
    pushers::delete_of_user(tx, user.num)?;
    cross_signing::delete_all(tx, user.num)?;
    key_backups::delete_of_user(tx, user.num)?;
    users::set_password_hash(tx, user.num, None)?;
    validity::delete(tx, &user.user_id)?;
    let mut after = User { deactivated: true, ..user.clone() };
    if erase {
        after = User { erased: true, displayname: None, avatar_url: None, ..after };
        profile_fields::delete_of_user(tx, user.num)?;
    }
    users::update(tx, user, &after)?;
    let mut total = account_data::count_of_user(tx, user.num)?;
    for membership in [Membership::Join, Membership::Invite, Membership::Knock] {
        total += memberships::count_of_user_in(tx, &user.user_id, membership)?;
    }
    let job = JOB.enqueue_once(tx, &user.user_id, &Payload { user_num: user.num }, total, ctx.now)?;
    if !user.deactivated || (erase && !user.erased) {
        audit::record(tx, ctx, "user.deactivate", &user.user_id, &json!({ "erase": erase, "job": job }))?;
    }
    Ok(job)
}

/// Makes a deactivated account usable again. What deactivation took stays gone, except that its messages are
/// visible again.
pub fn reactivate(tx: &mut Tx<'_>, ctx: &Ctx, user: &User) -> Result<User, Error> {
    let after = User { deactivated: false, erased: false, ..user.clone() };
    account::store(tx, ctx, "user.reactivate", user, &after)?;
    Ok(after)
}
