//! Restrictions of accounts by administrators: locks, suspension, shadow-bans, and rate limits.

use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, RateLimitOverride, User};
use reeve_store::ratelimits;
use serde_json::json;

use crate::error::Error;
use crate::{account, audit, rights};

/// A restriction that the specification defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Its sessions are refused until it is unlocked.
    Locked,
    /// It may only read and leave rooms.
    Suspended,
}

impl Flag {
    /// Returns true if it is set on an account.
    pub fn of(self, user: &User) -> bool {
        match self {
            Self::Locked => user.locked,
            Self::Suspended => user.suspended,
        }
    }
}

/// Returns the account that the actor moderates by the specification's rules, which exempt other administrators.
/// [`Error::UserNotFound`] if there is none or it is deactivated.
pub fn subject(tx: &ReadTx<'_>, ctx: &Ctx, user_id: &str) -> Result<User, Error> {
    let user = account::find(tx, user_id)?;
    if user.deactivated {
        return Err(Error::UserNotFound);
    }
    if user.admin && !ctx.is_by(user_id) {
        return Err(Error::NotModerated("The user is another administrator"));
    }
    Ok(user)
}

/// Sets or clears a flag by the specification's rules: neither of the actor nor of another administrator. Returns the
/// changed account.
pub fn moderate(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, flag: Flag, is_set: bool) -> Result<User, Error> {
    subject(tx, ctx, user_id)?;
    if ctx.is_by(user_id) {
        return Err(Error::NotModerated("You may not lock or suspend yourself"));
    }
    match flag {
        Flag::Locked => set_locked(tx, ctx, user_id, is_set),
        Flag::Suspended => set_suspended(tx, ctx, user_id, is_set),
    }
}

/// Locks an account, so that its sessions are refused, or unlocks it.
pub fn set_locked(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, locked: bool) -> Result<User, Error> {
    account::edit(tx, ctx, user_id, "user.update", |user| {
        user.locked = locked;
        Ok(())
    })
}

/// Suspends an account, so that it may only read and leave rooms, or ends that.
pub fn set_suspended(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, suspended: bool) -> Result<User, Error> {
    let action = if suspended { "user.suspend" } else { "user.unsuspend" };
    account::edit(tx, ctx, user_id, action, |user| {
        user.suspended = suspended;
        Ok(())
    })
}

/// Shadow-bans an account, so that its messages are silently dropped, or ends that.
pub fn set_shadow_banned(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    shadow_banned: bool,
) -> Result<User, Error> {
    let action = if shadow_banned { "user.shadow_ban" } else { "user.shadow_unban" };
    account::edit(tx, ctx, user_id, action, |user| {
        user.shadow_banned = shadow_banned;
        Ok(())
    })
}

/// Gives an account a message rate limit of its own.
pub fn set_ratelimit(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    limit: RateLimitOverride,
) -> Result<(), Error> {
    let user = rights::to_change(tx, ctx, user_id)?;
    if ratelimits::find(tx, user.num)? != Some(limit) {
        ratelimits::set(tx, user.num, limit)?;
        let changes =
            json!({ "messages_per_second": limit.messages_per_second, "burst_count": limit.burst_count });
        audit::record(tx, ctx, "ratelimit.set", user_id, &changes)?;
    }
    Ok(())
}

/// Removes the message rate limit of an account's own.
pub fn clear_ratelimit(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str) -> Result<(), Error> {
    let user = rights::to_change(tx, ctx, user_id)?;
    if ratelimits::delete(tx, user.num)? {
        audit::record(tx, ctx, "ratelimit.delete", user_id, &json!({}))?;
    }
    Ok(())
}
