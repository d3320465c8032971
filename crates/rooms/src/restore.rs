//! The job that brings back account data and rooms of a restored account.
//!
//! The account joins its rooms as it could itself, by their rules: nobody invites it, and no rule is bypassed. It knocks where it
//! had knocked, and where it was a member of a room that takes knocks. The rooms that do not let it in are reported with the reason.

use std::sync::Arc;

use reeve_accounts::restore::{JOB, NotRejoined, Outcome, Pass, Payload, Progress, Reason, bring_data_back};
use reeve_db::{DbError, ReadTx, Tx};
use reeve_jobs::{Kind, Step, StepError, Work};
use reeve_model::{Ctx, KeptNum, Membership, Scopes, User};
use reeve_store::kept::{self, KeptMembership};
use reeve_store::rooms;
use reeve_store::{room_bin, users};

use crate::error::Error;
use crate::{Home, membership};

/// The number of rooms that one step tries.
const STEP_ROOMS: i64 = 10;
/// Maximum number of passes over the rooms of one deactivation, without the last.
const MAX_PASSES: u32 = 10;

/// Returns the job.
pub fn job(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    JOB.with_step(move |tx, work| step(tx, &home, work))
}

/// Brings back a part of the account data, then tries a few rooms: for what is kept of one deactivation after the other, the
/// last one first.
fn step(
    tx: &mut Tx<'_>,
    home: &Home,
    work: Work<'_, Payload, Progress>,
) -> Result<Step<Progress, Outcome>, StepError> {
    let Work { payload, mut progress, done, now, .. } = work;
    // A deactivation calls the job off.
    let user = users::by_num(tx, payload.user_num)?.filter(|user| !user.deactivated);
    let user = user.ok_or_else(|| StepError::Hopeless("the account is not active".to_owned()))?;
    let Some(num) = payload.kept.get(progress.done).copied() else {
        return Ok(Step::Done { result: whole(payload, progress.outcome), done });
    };
    let data = bring_data_back(tx, &user, num)?;
    if data.taken > 0 {
        progress.outcome.account_data += data.brought_back;
        return Ok(Step::More { progress, done: done.saturating_add(data.taken) });
    }
    let rooms = if payload.rejoin {
        kept::memberships(tx, num, &progress.pass.after, STEP_ROOMS)?
    } else {
        Vec::new()
    };
    if rooms.is_empty() {
        let pass = std::mem::take(&mut progress.pass);
        let again = pass.joined && pass.restricted && pass.number < MAX_PASSES;
        if pass.last {
            if !pass.binned {
                kept::expire(tx, num)?;
            }
            progress.done += 1;
        } else {
            progress.pass = Pass { number: pass.number + 1, last: !again, ..Pass::default() };
        }
        return Ok(Step::More { progress, done });
    }
    let ctx = Ctx {
        now,
        server_name: Arc::clone(&home.server_name),
        request_id: Arc::from(JOB.name()),
        ip: None,
        actor: None,
        scopes: Scopes::ALL,
    };
    let returning = Returning { home, ctx: &ctx, user: &user };
    let mut settled = 0;
    for room in rooms {
        settled += settle(tx, &returning, num, room, &mut progress)?;
    }
    Ok(Step::More { progress, done: done.saturating_add(settled) })
}

/// Returns the result of a job: what the order did, and what the job did.
fn whole(payload: &Payload, outcome: Outcome) -> Outcome {
    let at_once = payload.at_once;
    Outcome {
        threepids: at_once.threepids,
        threepids_taken: at_once.threepids_taken,
        key_backups: at_once.key_backups,
        account_data: at_once.account_data + outcome.account_data,
        ..outcome
    }
}

/// An account on its way back into its rooms.
struct Returning<'a> {
    home: &'a Home,
    ctx: &'a Ctx,
    user: &'a User,
}

/// The result of trying a room.
enum Tried {
    /// The account was there already.
    Present,
    /// It joined.
    Joined,
    /// It knocked.
    Knocked,
    /// It was not let in.
    Refused(Reason),
}

/// Tries a room and notes what came of it; returns the number of rooms that are settled by that, 0 or 1.
fn settle(
    tx: &mut Tx<'_>,
    returning: &Returning<'_>,
    num: KeptNum,
    kept: KeptMembership,
    progress: &mut Progress,
) -> Result<i64, Error> {
    let Progress { pass, outcome, .. } = progress;
    let tried = returning.come_back(tx, &kept, pass.last)?;
    pass.after.clone_from(&kept.room_id);
    match tried {
        Tried::Present => {}
        Tried::Joined => {
            pass.joined = true;
            outcome.rooms_joined += 1;
        }
        Tried::Knocked => outcome.rooms_knocked += 1,
        Tried::Refused(reason) if pass.last => {
            let KeptMembership { room_id, membership } = kept;
            if reason == Reason::InBin {
                pass.binned = true;
            } else {
                kept::delete_membership(tx, num, &room_id)?;
            }
            outcome.not_rejoined.add(NotRejoined { room_id, membership, reason });
            return Ok(1);
        }
        Tried::Refused(reason) => {
            pass.restricted |= reason == Reason::Restricted;
            return Ok(0);
        }
    }
    kept::delete_membership(tx, num, &kept.room_id)?;
    Ok(1)
}

impl Returning<'_> {
    /// Lets the account come back into a room, as near to its membership there as the room lets it. It knocks in the last pass
    /// only, since it may be able to join before.
    fn come_back(&self, tx: &mut Tx<'_>, kept: &KeptMembership, last: bool) -> Result<Tried, Error> {
        let Some(room) = rooms::find(tx, &kept.room_id)? else {
            return Ok(Tried::Refused(gone(tx, &kept.room_id)?));
        };
        match (membership::current(tx, &self.user.user_id, &room)?, kept.membership) {
            (Membership::Join, _)
            | (Membership::Invite, Membership::Invite | Membership::Knock)
            | (Membership::Knock, Membership::Knock) => return Ok(Tried::Present),
            (Membership::Ban, _) => return Ok(Tried::Refused(Reason::Banned)),
            (Membership::Invite | Membership::Knock | Membership::Leave, _) => {}
        }
        let refused = match kept.membership {
            Membership::Join => match self.join(tx, &kept.room_id)? {
                None => return Ok(Tried::Joined),
                Some(reason) => reason,
            },
            Membership::Knock if last => {
                return Ok(self.knock(tx, &kept.room_id)?.map_or(Tried::Knocked, Tried::Refused));
            }
            Membership::Knock => Reason::InviteOnly,
            Membership::Invite | Membership::Leave | Membership::Ban => Reason::InviteGone,
        };
        let knocks = last
            && kept.membership == Membership::Join
            && matches!(room.join_rule.as_deref(), Some("knock" | "knock_restricted"));
        if knocks && self.knock(tx, &kept.room_id)?.is_none() {
            return Ok(Tried::Knocked);
        }
        Ok(Tried::Refused(refused))
    }

    /// Joins a room; returns the reason if it is refused.
    fn join(&self, tx: &mut Tx<'_>, room_id: &str) -> Result<Option<Reason>, Error> {
        self.attempt(tx, room_id, membership::join)
    }

    /// Knocks on a room; returns the reason if it is refused.
    fn knock(&self, tx: &mut Tx<'_>, room_id: &str) -> Result<Option<Reason>, Error> {
        self.attempt(tx, room_id, membership::knock)
    }

    fn attempt(
        &self,
        tx: &mut Tx<'_>,
        room_id: &str,
        deed: impl FnOnce(&mut Tx<'_>, &Home, &Ctx, &User, &mut rooms::Room, Option<&str>) -> Result<(), Error>,
    ) -> Result<Option<Reason>, Error> {
        let Some(mut room) = rooms::find(tx, room_id)? else { return Ok(Some(gone(tx, room_id)?)) };
        match tx.attempt(|tx| deed(tx, self.home, self.ctx, self.user, &mut room, None)) {
            Ok(()) => Ok(None),
            Err(Error::Db(error)) => Err(error.into()),
            Err(refused) => Ok(Some(reason(&refused, room.join_rule.as_deref()))),
        }
    }
}

/// Returns the reason for which a room is not there.
fn gone(tx: &ReadTx<'_>, room_id: &str) -> Result<Reason, DbError> {
    Ok(if room_bin::find(tx, room_id)?.is_some() { Reason::InBin } else { Reason::Deleted })
}

/// Returns the reason for which a room refused the account.
fn reason(refused: &Error, join_rule: Option<&str>) -> Reason {
    if matches!(refused, Error::Suspended(_)) {
        return Reason::Suspended;
    }
    if matches!(refused, Error::Blocked) {
        return Reason::Blocked;
    }
    match join_rule {
        None | Some("invite" | "private" | "knock") => Reason::InviteOnly,
        Some("restricted" | "knock_restricted") => Reason::Restricted,
        Some(_) => Reason::Forbidden,
    }
}
