//! The acts, and doing one of them on one account with the deed for single accounts.

use std::sync::Arc;
use std::time::Duration;

use reeve_accounts::put::{self, Change};
use reeve_accounts::{Policy, deactivate, devices, moderation, password_change, rights, roles, sessions};
use reeve_db::{ReadTx, Tx};
use reeve_media::deeds::{self, Progress};
use reeve_media::{Library, bin};
use reeve_model::{Ctx, Membership, Millis, RateLimitOverride, Scope, Scopes, User};
use reeve_rooms::notices::{self, Notice};
use reeve_rooms::{Home, membership, room_admin};
use reeve_store::lists::media::{self as media_list, OrderBy};
use reeve_store::{Paging, media, media_users, ratelimits, users};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Error;

/// Number of uploads that one transaction deletes.
const UPLOADS: i64 = 100;

/// The parts of the server with which acts are done.
#[derive(Clone)]
pub struct Means {
    /// This homeserver.
    pub home: Arc<Home>,
    /// The account policy.
    pub policy: Policy,
    /// Uploads.
    pub media: Library,
}

/// An act on each account of a selection.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Act {
    /// Locks.
    Lock,
    /// Unlocks.
    Unlock,
    /// Suspends.
    Suspend,
    /// Ends a suspension.
    Unsuspend,
    /// Shadow-bans.
    ShadowBan,
    /// Ends a shadow-ban.
    UnshadowBan,
    /// Ends all sessions.
    LogOut,
    /// Requires that the person changes the password.
    RequirePasswordChange {
        /// True to end all sessions, too.
        logout_devices: bool,
    },
    /// Deletes devices.
    DeleteDevices {
        /// Those that were not seen since this time.
        not_seen_since: Millis,
    },
    /// Deactivates.
    Deactivate {
        /// True to erase, too.
        erase: bool,
    },
    /// Deletes all uploads.
    DeleteMedia,
    /// Quarantines all uploads that are not protected.
    QuarantineMedia,
    /// Sets the type.
    SetUserType {
        /// The type; `None` for an ordinary account.
        user_type: Option<String>,
    },
    /// Gives a role, or takes it away.
    SetRole {
        /// The role; `None` for none.
        role: Option<String>,
    },
    /// Gives a message rate limit of its own.
    SetRatelimit {
        /// Actions per second.
        messages_per_second: i64,
        /// The number of actions allowed at once.
        burst_count: i64,
    },
    /// Removes that limit.
    ClearRatelimit,
    /// Joins a room.
    JoinRoom {
        /// The id or alias of the room.
        room: String,
    },
    /// Leaves a room.
    RemoveFromRoom {
        /// The id or alias of the room.
        room: String,
    },
    /// Sends a server notice.
    SendNotice {
        /// The type of the event; a message if it is `None`.
        event_type: Option<String>,
        /// The content.
        content: Map<String, Value>,
    },
}

/// The bounds of one transaction, the earlier of which ends it.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// The number of accounts, or of parts of an act on one.
    pub(crate) accounts: usize,
    /// The time after which no further account is begun.
    pub(crate) time: Duration,
}

/// The result of an act on one account in one transaction.
pub(crate) enum Did {
    /// It is done.
    Done,
    /// The account was so already.
    Nothing,
    /// A part is done, since the whole is too much for one transaction.
    Part(Rest),
}

impl Did {
    fn changed(changed: bool) -> Self {
        if changed { Self::Done } else { Self::Nothing }
    }
}

/// The part of an act on one account that earlier transactions did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Rest {
    /// The upload whose quarantine continues.
    media_id: Option<String>,
    progress: Progress,
}

impl Act {
    /// Returns the scope that the act needs.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Lock
            | Self::Unlock
            | Self::Suspend
            | Self::Unsuspend
            | Self::ShadowBan
            | Self::UnshadowBan
            | Self::SetRatelimit { .. }
            | Self::ClearRatelimit => Scope::UsersModerate,
            Self::LogOut
            | Self::RequirePasswordChange { .. }
            | Self::DeleteDevices { .. }
            | Self::SetUserType { .. } => Scope::UsersWrite,
            Self::Deactivate { .. } => Scope::UsersDeactivate,
            Self::DeleteMedia | Self::QuarantineMedia => Scope::MediaWrite,
            Self::SetRole { .. } => Scope::AdminsWrite,
            Self::JoinRoom { .. } | Self::RemoveFromRoom { .. } => Scope::RoomsWrite,
            Self::SendNotice { .. } => Scope::NoticesWrite,
        }
    }

    /// Returns the act as JSON for somebody who holds some scopes: only those who may send notices see their content.
    pub fn shown(&self, scopes: Scopes) -> Value {
        let mut shown = json!(self);
        let is_hidden = matches!(self, Self::SendNotice { .. }) && !scopes.contains(Scope::NoticesWrite);
        if let Some(keys) = shown.as_object_mut().filter(|_| is_hidden) {
            keys.remove("content");
        }
        shown
    }

    /// Returns the bounds of a transaction that does the act.
    pub(crate) const fn bounds(&self) -> Bounds {
        match self {
            Self::Lock
            | Self::Unlock
            | Self::Suspend
            | Self::Unsuspend
            | Self::ShadowBan
            | Self::UnshadowBan
            | Self::SetRatelimit { .. }
            | Self::ClearRatelimit
            | Self::SetUserType { .. }
            | Self::SetRole { .. } => Bounds { accounts: 500, time: Duration::from_millis(50) },
            // What people are told by syncs takes a position of the stream, for which all others wait.
            Self::LogOut
            | Self::RequirePasswordChange { .. }
            | Self::DeleteDevices { .. }
            | Self::Deactivate { .. } => Bounds { accounts: 40, time: Duration::from_millis(20) },
            // One account may have as much as the transaction takes.
            Self::DeleteMedia | Self::QuarantineMedia => {
                Bounds { accounts: 40, time: Duration::from_millis(20) }
            }
            Self::JoinRoom { .. } | Self::RemoveFromRoom { .. } | Self::SendNotice { .. } => {
                Bounds { accounts: 10, time: Duration::from_millis(20) }
            }
        }
    }

    /// Refuses an act that would fail on every account.
    pub(crate) fn check(&self, tx: &ReadTx<'_>, ctx: &Ctx, policy: &Policy) -> Result<(), Error> {
        rights::check_holds(ctx, self.scope())?;
        match self {
            Self::SetUserType { user_type: Some(user_type) } if !policy.knows_user_type(user_type) => {
                Err(Error::Invalid("There is no such user type"))
            }
            Self::SetRole { role: Some(role) } => {
                Ok(rights::check_grant(ctx, roles::find(tx, role)?.scopes)?)
            }
            Self::SetRatelimit { messages_per_second, burst_count }
                if *messages_per_second < 0 || *burst_count < 0 =>
            {
                Err(Error::Invalid("A rate limit must not be negative"))
            }
            Self::RequirePasswordChange { .. } if !policy.password_enabled => {
                Err(reeve_accounts::Error::PasswordChangeDisabled.into())
            }
            Self::JoinRoom { room } | Self::RemoveFromRoom { room } => {
                let found = room_admin::room(tx, room)?;
                found.ok_or(reeve_rooms::Error::NotFound("Room not found"))?;
                Ok(())
            }
            Self::SendNotice { event_type, content } => {
                if policy.notices_localpart.is_none() {
                    return Err(Error::Invalid("Server notices are not enabled on this server"));
                }
                Notice::new(event_type.clone(), None, content.clone())?;
                Ok(())
            }
            Self::Lock
            | Self::Unlock
            | Self::Suspend
            | Self::Unsuspend
            | Self::ShadowBan
            | Self::UnshadowBan
            | Self::LogOut
            | Self::RequirePasswordChange { .. }
            | Self::DeleteDevices { .. }
            | Self::Deactivate { .. }
            | Self::DeleteMedia
            | Self::QuarantineMedia
            | Self::SetUserType { .. }
            | Self::SetRole { role: None }
            | Self::SetRatelimit { .. }
            | Self::ClearRatelimit => Ok(()),
        }
    }

    /// Does the act on one account, or the next part of it.
    pub(crate) fn apply(
        &self,
        tx: &mut Tx<'_>,
        means: &Means,
        ctx: &Ctx,
        user: &User,
        rest: Rest,
    ) -> Result<Did, Error> {
        rights::check_may_change(tx, ctx, user)?;
        let id = &user.user_id;
        let changed = match self {
            Self::Lock | Self::Unlock => {
                let locked = *self == Self::Lock;
                moderation::set_locked(tx, ctx, id, locked)?;
                user.locked != locked
            }
            Self::Suspend | Self::Unsuspend => {
                let suspended = *self == Self::Suspend;
                moderation::set_suspended(tx, ctx, id, suspended)?;
                user.suspended != suspended
            }
            Self::ShadowBan | Self::UnshadowBan => {
                let banned = *self == Self::ShadowBan;
                moderation::set_shadow_banned(tx, ctx, id, banned)?;
                user.shadow_banned != banned
            }
            Self::LogOut => sessions::log_out_everywhere(tx, ctx, id)?,
            Self::RequirePasswordChange { logout_devices } => {
                password_change::require(tx, ctx, &means.policy, id, true)?;
                let ended = *logout_devices && sessions::log_out_everywhere(tx, ctx, id)?;
                ended || !user.password_change_required
            }
            Self::DeleteDevices { not_seen_since } => devices::delete_unseen(tx, ctx, user, *not_seen_since)?,
            Self::Deactivate { erase } => {
                let is_new = !user.deactivated || (*erase && !user.erased);
                if is_new {
                    deactivate::deactivate(tx, ctx, &means.policy, user, *erase)?;
                }
                is_new
            }
            Self::DeleteMedia => return delete_media(tx, means, ctx, user, rest),
            Self::QuarantineMedia => return quarantine_media(tx, ctx, user, rest),
            Self::SetUserType { user_type } => {
                let change = Change { user_type: Some(user_type.clone()), ..Change::default() };
                put::put(tx, ctx, &means.policy, id, &change)?;
                user.user_type != *user_type
            }
            Self::SetRole { role } => {
                roles::set(tx, ctx, id, role.as_deref())?;
                user.role() != role.as_deref()
            }
            Self::SetRatelimit { messages_per_second, burst_count } => {
                let limit = RateLimitOverride {
                    messages_per_second: *messages_per_second,
                    burst_count: *burst_count,
                };
                let before = ratelimits::find(tx, user.num)?;
                moderation::set_ratelimit(tx, ctx, id, limit)?;
                before != Some(limit)
            }
            Self::ClearRatelimit => {
                let before = ratelimits::find(tx, user.num)?;
                moderation::clear_ratelimit(tx, ctx, id)?;
                before.is_some()
            }
            Self::JoinRoom { room } => {
                let is_in = match room_admin::room(tx, room)? {
                    Some(room) => membership::current(tx, id, &room)? == Membership::Join,
                    None => false,
                };
                let inviter = match ctx.account() {
                    Some(account) => users::find(tx, account)?,
                    None => None,
                };
                room_admin::join(tx, &means.home, ctx, inviter.as_ref(), id, room)?;
                !is_in
            }
            Self::RemoveFromRoom { room } => room_admin::remove(tx, &means.home, ctx, user, room)?,
            // Nobody could read it.
            Self::SendNotice { .. } if user.deactivated => {
                return Err(reeve_accounts::Error::Deactivated.into());
            }
            Self::SendNotice { event_type, content } => {
                let sender = means.policy.notices_localpart.as_deref();
                let sender = sender.ok_or(Error::Invalid("Server notices are not enabled on this server"))?;
                let notice = Notice::new(event_type.clone(), None, content.clone())?;
                notices::send_for(tx, &means.home, ctx, sender, id, &notice)?;
                true
            }
        };
        Ok(Did::changed(changed))
    }
}

/// Deletes some uploads of an account.
fn delete_media(tx: &mut Tx<'_>, means: &Means, ctx: &Ctx, user: &User, rest: Rest) -> Result<Did, Error> {
    let total = media_users::of_user(tx, user.num)?.media_count;
    let paging = Paging { from: 0, limit: UPLOADS };
    let some = media_list::page(tx, user.num, OrderBy::CreatedTs, false, paging, total)?;
    for upload in &some {
        bin::put(tx, ctx, means.media.settings(), upload)?;
    }
    if some.is_empty() {
        return Ok(Did::changed(rest.media_id.is_some()));
    }
    let library = means.media.clone();
    tx.after_commit(move || library.wake_sweeper());
    if total <= UPLOADS {
        return Ok(Did::Done);
    }
    Ok(Did::Part(Rest { media_id: some.into_iter().last().map(|last| last.media_id), ..rest }))
}

/// Quarantines some uploads of an account, and others of the same bytes.
fn quarantine_media(tx: &mut Tx<'_>, ctx: &Ctx, user: &User, rest: Rest) -> Result<Did, Error> {
    let current = match &rest.media_id {
        Some(media_id) if rest.progress != Progress::default() => media::find(tx, media_id)?,
        Some(_) | None => None,
    };
    let next = match current {
        Some(current) => Some(current),
        None => media::not_quarantined(tx, user.num, "", 1)?.into_iter().next(),
    };
    let Some(upload) = next else { return Ok(Did::changed(rest.media_id.is_some())) };
    let media_id = Some(upload.media_id.clone());
    let (_, progress) = deeds::quarantine(tx, ctx, &[upload], rest.progress)?;
    Ok(Did::Part(Rest { media_id, progress: progress.unwrap_or_default() }))
}
