//! Restoring accounts: an administrator brings back what is kept of a deactivated account.
//!
//! Bounded data comes back in one transaction. Account data and rooms, of which there may be thousands, are brought back by a
//! durable job, whose step is in `reeve_rooms`, since it joins rooms.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_jobs::JobKind;
use reeve_model::{Ctx, KeptNum, Membership, Millis, Scope, User, UserNum};
use reeve_store::kept::{self, Kept};
use reeve_store::threepids::Threepid;
use reeve_store::{key_backups, notifications, threepids, validity};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::password_change::{self, Reset};
use crate::policy::Policy;
use crate::{account, audit, rights};

/// The job that brings back account data and rooms.
pub const JOB: JobKind<Payload, Progress, Outcome> = JobKind::new("restore_user");
/// The number of pieces of account data that one transaction brings back.
const STEP_ROWS: i64 = 500;
/// The type of the account data that holds the push rules.
const PUSH_RULES: &str = "m.push_rules";

/// The account that is restored.
#[derive(Debug, Deserialize, Serialize)]
pub struct Payload {
    /// The number of the account.
    pub user_num: UserNum,
    /// The kept data to bring back: that of one deactivation after the other, the last one first.
    pub kept: Vec<KeptNum>,
    /// True if it joins its rooms again.
    pub rejoin: bool,
    /// The counts of what the order itself brought back.
    pub at_once: AtOnce,
}

/// The numbers of what an order brought back in its own transaction. No addresses: the results of jobs are shown to callers who
/// may not read accounts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct AtOnce {
    /// Third-party ids that the account has again.
    pub threepids: usize,
    /// Third-party ids that another account has now.
    pub threepids_taken: usize,
    /// Backups of room keys.
    pub key_backups: u64,
    /// The first pieces of account data.
    pub account_data: usize,
}

/// The progress of the job.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Progress {
    /// The number of deactivations that are done.
    pub done: usize,
    /// The pass over its rooms.
    pub pass: Pass,
    /// The results so far.
    pub outcome: Outcome,
}

/// A pass over the rooms of one deactivation. A restricted room may admit the account when it has joined another one, so that
/// the rooms are tried again after a pass that joined any. The last pass knocks where that is possible, and settles the rest.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Pass {
    /// The number of passes before.
    pub number: u32,
    /// The id of the last room that was tried.
    pub after: String,
    /// True if a room was joined in this pass.
    pub joined: bool,
    /// True if a room refused in this pass that may admit members of other rooms.
    pub restricted: bool,
    /// True if a room was in the bin in the last pass, and is left for another restoration.
    #[serde(default)]
    pub binned: bool,
    /// True in the last pass.
    pub last: bool,
}

/// Rooms that an account could not join again.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Refused {
    /// The number of them.
    pub total: usize,
    /// The first of them, at most [`Refused::MOST`].
    pub rooms: Vec<NotRejoined>,
}

impl Refused {
    /// Maximum number of rooms that are listed.
    const MOST: usize = 1000;

    /// Adds a room.
    pub fn add(&mut self, room: NotRejoined) {
        self.total += 1;
        if self.rooms.len() < Self::MOST {
            self.rooms.push(room);
        }
    }
}

/// A room that an account could not join again.
#[derive(Debug, Deserialize, Serialize)]
pub struct NotRejoined {
    /// The id of the room.
    pub room_id: String,
    /// The membership before the deactivation.
    pub membership: Membership,
    /// The reason.
    pub reason: Reason,
}

/// The reason why an account did not come back into a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The room does not exist any more.
    Deleted,
    /// The room is in the bin. It stays kept: if it is brought back in time, the account can be restored once more.
    InBin,
    /// An administrator blocked the room.
    Blocked,
    /// The account is banned from the room.
    Banned,
    /// The account is suspended, and suspended accounts join no rooms.
    Suspended,
    /// The room admits invited users only.
    InviteOnly,
    /// The account is in none of the rooms whose members this one admits, or nobody there could let it in.
    Restricted,
    /// The account was only invited, and declined when it was deactivated.
    InviteGone,
    /// Another rule of the room or of the server forbids it.
    Forbidden,
}

/// The result of the job.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// Third-party ids that the account has again.
    pub threepids: usize,
    /// Third-party ids that another account has now.
    pub threepids_taken: usize,
    /// Backups of room keys that the account has again.
    pub key_backups: u64,
    /// Pieces of account data that the account has again. It had newer ones of the others.
    pub account_data: usize,
    /// Rooms that the account joined again.
    pub rooms_joined: usize,
    /// Rooms that the account asked to be let in again.
    pub rooms_knocked: usize,
    /// Rooms that it did not come back into.
    pub not_rejoined: Refused,
}

/// An order to restore an account.
#[derive(Clone, Debug)]
pub struct Order {
    /// The hash of a new password; without one the account stays as it is, a deactivated one has none.
    pub password_hash: Option<String>,
    /// True to join its rooms again; false to forget them.
    pub rejoin: bool,
}

/// The effects of an order, and the work that is left to its job.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The id of the job.
    pub job: String,
    /// True if the account was deactivated.
    pub reactivated: bool,
    /// The third-party ids that the account has again.
    pub threepids: Vec<Threepid>,
    /// The third-party ids that another account has now.
    pub threepids_taken: Vec<Threepid>,
    /// The number of backups of room keys that the account has again.
    pub key_backups: u64,
    /// The number of kept pieces of account data.
    pub account_data: i64,
    /// The number of kept memberships.
    pub rooms: i64,
}

/// Restores an account: reactivates it if it is deactivated, and brings back what is kept of all its deactivations. What the account
/// got since then wins. Display name, avatar, other profile fields, external ids, media, flags and the role were not taken away
/// by the deactivation, so they are as they are.
pub fn restore(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user_id: &str,
    order: &Order,
) -> Result<Restored, Error> {
    let before = rights::to_change(tx, ctx, user_id)?;
    if JOB.is_unfinished(tx, user_id)? {
        return Err(Error::RestoreUnderWay);
    }
    let all = kept::of_user(tx, before.num, ctx.now)?;
    let Some(last) = all.first() else { return Err(Error::NothingKept) };
    if order.rejoin && before.suspended {
        return Err(Error::Refused(
            "Suspended accounts join no rooms: end the suspension first, or restore without rooms",
        ));
    }
    if order.password_hash.is_some() {
        rights::check_holds(ctx, Scope::UsersWrite)?;
        if !policy.password_enabled {
            return Err(Error::PasswordChangeDisabled);
        }
    }
    let user = User { deactivated: false, ..before.clone() };
    let reactivated = before.deactivated;
    if reactivated {
        account::apply(tx, ctx, &before, &user)?;
        kept::close(tx, user.num)?;
    }
    let mut restored = Restored {
        job: String::new(),
        reactivated,
        threepids: Vec::new(),
        threepids_taken: Vec::new(),
        key_backups: 0,
        account_data: 0,
        rooms: 0,
    };
    for one in &all {
        let counts = kept::counts(tx, one.num)?;
        restored.account_data += counts.account_data;
        restored.rooms += counts.memberships;
        bring_threepids_back(tx, &user, one.num, &mut restored)?;
        restored.key_backups += key_backups::bring_back(tx, user.num, one.num)?;
    }
    if let Some(validity) = last.validity
        && validity::find(tx, user_id)?.is_none()
    {
        validity::set(tx, user_id, validity)?;
    }
    kept::forget_validity(tx, user.num)?;
    // The first part at once, global data before that of rooms: a client that logs in now finds its settings and secrets.
    let data = bring_data_back(tx, &user, last.num)?;
    let at_once = AtOnce {
        threepids: restored.threepids.len(),
        threepids_taken: restored.threepids_taken.len(),
        key_backups: restored.key_backups,
        account_data: data.brought_back,
    };
    let kept = all.iter().map(|one| one.num).collect();
    let payload = Payload { user_num: user.num, kept, rejoin: order.rejoin, at_once };
    let rooms = if order.rejoin { restored.rooms } else { 0 };
    let total = restored.account_data - data.taken + rooms;
    restored.job = JOB.enqueue(tx, user_id, &payload, total, ctx.now)?;
    record(tx, ctx, user_id, order, &restored)?;
    if let Some(hash) = &order.password_hash {
        let reset = Reset { hash: hash.clone(), require_change: false, end_sessions: None };
        password_change::reset(tx, ctx, policy, &user, &reset)?;
    }
    Ok(restored)
}

fn record(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    order: &Order,
    restored: &Restored,
) -> Result<(), DbError> {
    let addresses = |threepids: &[Threepid]| -> Value {
        threepids.iter().map(|threepid| json!([threepid.medium, threepid.address])).collect()
    };
    let mut changes = json!({
        "job": restored.job,
        "rejoin": order.rejoin,
        "threepids": addresses(&restored.threepids),
        "threepids_taken": addresses(&restored.threepids_taken),
        "key_backups": restored.key_backups,
        "account_data": restored.account_data,
        "rooms": restored.rooms,
    });
    if restored.reactivated
        && let Some(changes) = changes.as_object_mut()
    {
        changes.insert("deactivated".to_owned(), json!(false));
    }
    audit::record(tx, ctx, "user.restore", user_id, &changes)
}

/// Gives the account its third-party ids again, but for those that another one has now.
fn bring_threepids_back(
    tx: &mut Tx<'_>,
    user: &User,
    num: KeptNum,
    restored: &mut Restored,
) -> Result<(), DbError> {
    for threepid in kept::threepids(tx, num)? {
        match threepids::find_user(tx, &threepid.medium, &threepid.address)? {
            None => {
                threepids::insert(tx, user.num, &threepid)?;
                restored.threepids.push(threepid);
            }
            Some(owner) if owner == user.num => {}
            Some(_) => {
                if !restored.threepids_taken.iter().any(|taken| is_same(taken, &threepid)) {
                    restored.threepids_taken.push(threepid);
                }
            }
        }
    }
    kept::delete_threepids(tx, num)
}

fn is_same(one: &Threepid, other: &Threepid) -> bool {
    one.medium == other.medium && one.address == other.address
}

/// A part of the account data that was dealt with.
#[derive(Clone, Copy, Debug)]
pub struct DataBack {
    /// The number of pieces that are not kept any more.
    pub taken: i64,
    /// The number of pieces among them that the account has again.
    pub brought_back: usize,
}

/// Brings back a part of what is kept of an account's data; none if nothing is left.
pub fn bring_data_back(tx: &mut Tx<'_>, user: &User, num: KeptNum) -> Result<DataBack, DbError> {
    let moved = kept::bring_some_data_back(tx, num, user.num, STEP_ROWS)?;
    if moved.brought_back.iter().any(|(room_id, data_type)| room_id.is_empty() && data_type == PUSH_RULES) {
        // Rooms that it has joined meanwhile do not know that it has rules of its own.
        notifications::set_with_rules(tx, &user.user_id)?;
    }
    Ok(DataBack { taken: moved.taken, brought_back: moved.brought_back.len() })
}

/// The numbers of things that are kept of one deactivation.
#[derive(Clone, Copy, Debug)]
pub struct Overview {
    /// The deactivation.
    pub kept: Kept,
    /// Third-party ids.
    pub threepids: i64,
    /// Rooms.
    pub rooms: i64,
    /// Pieces of account data.
    pub account_data: i64,
    /// Backups of room keys, and the keys in them.
    pub key_backups: key_backups::Live,
}

/// Returns what is kept of an account, the last deactivation first.
///
/// # Errors
/// [`Error::NothingKept`]: nothing is.
pub fn overview(tx: &ReadTx<'_>, user: &User, now: Millis) -> Result<Vec<Overview>, Error> {
    let all = kept::of_user(tx, user.num, now)?;
    if all.is_empty() {
        return Err(Error::NothingKept);
    }
    let mut found = Vec::with_capacity(all.len());
    for one in all {
        let counts = kept::counts(tx, one.num)?;
        found.push(Overview {
            kept: one,
            threepids: counts.threepids,
            rooms: counts.memberships,
            account_data: counts.account_data,
            key_backups: key_backups::kept(tx, user.num, one.num)?,
        });
    }
    Ok(found)
}

/// Calls the restoration of an account off, since it is deactivated again. What was not brought back yet stays kept.
pub(crate) fn call_off(tx: &mut Tx<'_>, ctx: &Ctx, user: &User) -> Result<(), DbError> {
    let job = JOB.unfinished(tx, &user.user_id)?;
    job.map_or(Ok(()), |job| JOB.cancel(tx, &job, ctx.now).map(drop))
}
