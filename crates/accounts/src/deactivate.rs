//! Deactivation of accounts.
//!
//! Everything by which an account acts ends at once, in one transaction. The rest of its data, which may be very much,
//! is deleted by a durable job in short steps. Unless the account is erased, what can be restored is kept apart for a while
//! ([`crate::kept`]).

use reeve_db::Tx;
use reeve_jobs::JobKind;
use reeve_model::{Ctx, Membership, RoomNum, User, UserNum};
use reeve_store::{
    access_tokens, account_data, email_validations, exports, key_backups, mails, memberships, profile_fields,
    pushers, threepids, users, validity,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::policy::Policy;
use crate::sessions::{self, Spared};
use crate::{account, audit, cross_signing, kept, restore, rights};

/// The job that deletes the rest of the data of a deactivated account.
pub const JOB: JobKind<Payload, Progress, Outcome> = JobKind::new("deactivate_user");

/// The account whose data is deleted.
#[derive(Debug, Deserialize, Serialize)]
pub struct Payload {
    /// The number of the account.
    pub user_num: UserNum,
}

/// The progress of the job.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Progress {
    /// The number of the last room that is done, including rooms that could not be left.
    pub upto: RoomNum,
    /// The numbers of what was deleted so far.
    pub cleared: Cleared,
}

/// Counts of what the job deleted.
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
    /// Everything is deleted.
    Cleared(Cleared),
    /// The account was reactivated meanwhile, which ended the job.
    Reactivated {
        /// True.
        reactivated: bool,
    },
}

/// Deactivates an account, and erases it if `erase` is true: its sessions, keys, password and addresses are deleted,
/// and nobody acts as it any more. A repetition does no harm, and erasing can be added later. Returns the id of the job
/// that deletes the rest. The flags set by administrators, external ids, media and the history of connections stay.
/// Third-party ids, backups of room keys, rooms and account data are kept for [`restore::restore`]; erasing drops them.
pub fn deactivate(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    erase: bool,
) -> Result<String, Error> {
    if policy.is_of_server(user) {
        return Err(Error::NameReserved);
    }
    let deactivated = User { deactivated: true, password_change_required: false, ..user.clone() };
    rights::check_change(tx, ctx, user, &deactivated)?;
    restore::call_off(tx, ctx, user)?;
    if erase {
        kept::drop_all(tx, ctx, user)?;
    } else if !user.deactivated {
        kept::begin(tx, ctx, policy, user)?;
    }
    threepids::delete_of_user(tx, user.num)?;
    email_validations::delete_of_user(tx, user.num)?;
    mails::delete_of_user(tx, user.num)?;
    sessions::end_all(tx, user.num, &Spared::default())?;
    access_tokens::delete_acting_as(tx, user.num)?;
    pushers::delete_of_user(tx, user.num)?;
    cross_signing::delete_all(tx, user.num)?;
    key_backups::delete_of_user(tx, user.num)?;
    users::set_password_hash(tx, user.num, None)?;
    validity::delete(tx, &user.user_id)?;
    let after = if erase {
        profile_fields::delete_of_user(tx, user.num)?;
        exports::delete_of_user(tx, user.num, ctx.now)?;
        User { erased: true, displayname: None, avatar_url: None, ..deactivated }
    } else {
        deactivated
    };
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

/// Reactivates a deactivated account. Deleted data stays deleted, unless the account is restored, too; the messages of an
/// erased account are visible again.
pub fn reactivate(tx: &mut Tx<'_>, ctx: &Ctx, user: &User) -> Result<User, Error> {
    let after = User { deactivated: false, erased: false, ..user.clone() };
    account::store(tx, ctx, "user.reactivate", user, &after)?;
    reeve_store::kept::close(tx, user.num)?;
    Ok(after)
}
