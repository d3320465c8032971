//! Memberships: joining, leaving, inviting, knocking, kicking and banning.
//! <https://spec.matrix.org/v1.18/client-server-api/#room-membership>

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, Membership, Millis, User, UserNum, id};
use reeve_store::events;
use reeve_store::rooms::{self, Room};
use reeve_store::{memberships, users};
use ruma::UserId;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::event::{self, Draft};
use crate::power::PowerLevels;
use crate::types;
use crate::{Home, data};

const CHANGING: &str = "Changing membership while account is suspended is not allowed.";
/// The type of the account data that says who may invite.
const INVITE_PERMISSION: &str = "m.invite_permission_config";
/// The maximum number of members among whom one who may authorise a join is searched.
const MAX_ASKED: i64 = 10_000;

/// Checks the content of a membership event that a client made.
pub(crate) fn check_content(target: &str, content: &Map<String, Value>) -> Result<(), Error> {
    id::split(target).map_err(|error| Error::Invalid(error.to_string()))?;
    match named(content) {
        Some(_) => Ok(()),
        None => Err(Error::BadContent("Content must have a valid 'membership'".to_owned())),
    }
}

/// Returns the membership in the content of an event.
pub fn named(content: &Map<String, Value>) -> Option<Membership> {
    content.get("membership")?.as_str()?.parse().ok()
}

/// Returns content with the name and avatar of a local user, as membership events contain them.
fn with_profile(tx: &ReadTx<'_>, user_id: &str, content: &mut Map<String, Value>) -> Result<(), Error> {
    let Some(user) = users::find(tx, user_id)?.filter(|user| !user.erased) else { return Ok(()) };
    for (key, value) in [("displayname", user.displayname), ("avatar_url", user.avatar_url)] {
        if let Some(value) = value {
            content.insert(key.to_owned(), Value::String(value));
        }
    }
    Ok(())
}

/// Returns the content of a membership event without names of a shadow-banned user's choice, which would reach
/// everybody in the room: such users keep their name and avatar in the room, and join with those of their profile.
pub(crate) fn without_own_names(
    tx: &ReadTx<'_>,
    room: &Room,
    user: &User,
    content: &Map<String, Value>,
) -> Result<Map<String, Value>, Error> {
    let is_join = |content: &Map<String, Value>| named(content) == Some(Membership::Join);
    let is_name = |key: &str| matches!(key, "displayname" | "avatar_url");
    let mut content = content.clone();
    content.retain(|key, _| !is_name(key));
    if is_join(&content) {
        let old = events::state(tx, room.num, types::MEMBER, &user.user_id)?;
        let old = old.map(|old| event::content(&old, &event::rules(room)?)).transpose()?.filter(is_join);
        match old {
            Some(old) => content.extend(old.into_iter().filter(|(key, _)| is_name(key))),
            None => with_profile(tx, &user.user_id, &mut content)?,
        }
    }
    Ok(content)
}

pub(crate) fn content(membership: Membership, reason: Option<&str>) -> Map<String, Value> {
    let mut content = Map::new();
    content.insert("membership".to_owned(), json!(membership));
    if let Some(reason) = reason {
        content.insert("reason".to_owned(), json!(reason));
    }
    content
}

/// Sends a membership event, unless it would change nothing.
fn set(tx: &mut Tx<'_>, home: &Home, room: &mut Room, draft: Draft, now: Millis) -> Result<(), Error> {
    if event::unchanged(tx, room, &draft)?.is_none() {
        event::append(tx, home, room, draft, now)?;
    }
    Ok(())
}

/// Returns a membership event by which a user changes the own membership.
fn own(user_id: &str, content: Map<String, Value>) -> Draft {
    Draft::state(types::MEMBER, user_id, user_id, content)
}

/// Returns the present membership of a user; `leave` if there never was one.
pub fn current(tx: &ReadTx<'_>, user_id: &str, room: &Room) -> Result<Membership, Error> {
    let member = memberships::find(tx, user_id, room.num)?;
    Ok(member.map_or(Membership::Leave, |member| member.membership))
}

/// Joins a room.
pub fn join(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    room: &mut Room,
    reason: Option<&str>,
) -> Result<(), Error> {
    if rooms::blocked_by(tx, &room.room_id)?.is_some() {
        return Err(Error::Blocked);
    }
    if user.suspended {
        return Err(Error::Suspended("Joining rooms while account is suspended is not allowed."));
    }
    let before = current(tx, &user.user_id, room)?;
    if before == Membership::Join {
        return Ok(());
    }
    if user.is_guest && room.guest_access.as_deref() != Some("can_join") {
        return Err(Error::forbidden("Guest access not allowed"));
    }
    let mut content = content(Membership::Join, reason);
    with_profile(tx, &user.user_id, &mut content)?;
    if before != Membership::Invite
        && matches!(room.join_rule.as_deref(), Some("restricted" | "knock_restricted"))
    {
        let by = authorised_by(tx, home, room, &user.user_id)?;
        content.insert("join_authorised_via_users_server".to_owned(), json!(by));
    }
    set(tx, home, room, own(&user.user_id, content), ctx.now)
}

/// Returns a member of this server who can authorise the join of a user who has joined one of the rooms in the join
/// rules.
/// <https://spec.matrix.org/v1.18/client-server-api/#restricted-rooms>
fn authorised_by(tx: &ReadTx<'_>, home: &Home, room: &Room, user_id: &str) -> Result<String, Error> {
    let rule = event::state_content(tx, room, types::JOIN_RULES, "")?.unwrap_or_default();
    let allowed = rule.get("allow").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut in_allowed = false;
    for condition in allowed
        .iter()
        .filter(|condition| condition.get("type").and_then(Value::as_str) == Some("m.room_membership"))
    {
        let Some(room_id) = condition.get("room_id").and_then(Value::as_str) else { continue };
        if let Some(other) = rooms::find(tx, room_id)?
            && current(tx, user_id, &other)? == Membership::Join
        {
            in_allowed = true;
            break;
        }
    }
    if !in_allowed {
        return Err(Error::forbidden(
            "You do not belong to any of the required rooms/spaces to join this room.",
        ));
    }
    let powers = PowerLevels::of(tx, room)?;
    let needed = powers.action("invite");
    memberships::of_room_in(tx, room.num, Membership::Join, MAX_ASKED)?
        .into_iter()
        .find(|member| home.is_local(member) && powers.user(member) >= needed)
        .ok_or_else(|| Error::forbidden("Nobody in this room could let you in"))
}

/// Leaves a room, declines an invite or withdraws a knock.
pub fn leave(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user_id: &str,
    room: &mut Room,
    reason: Option<&str>,
) -> Result<(), Error> {
    match current(tx, user_id, room)? {
        Membership::Invite if is_notice_room(tx, user_id, room)? => return Err(Error::NoticeRoom),
        Membership::Join | Membership::Invite | Membership::Knock => {}
        Membership::Leave if memberships::find(tx, user_id, room.num)?.is_some() => return Ok(()),
        Membership::Leave | Membership::Ban => {
            return Err(Error::forbidden(format!("User {user_id} not in room {}", room.room_id)));
        }
    }
    set(tx, home, room, own(user_id, content(Membership::Leave, reason)), ctx.now)
}

/// Returns true if a room is the one in which the account gets server notices.
fn is_notice_room(tx: &ReadTx<'_>, user_id: &str, room: &Room) -> Result<bool, Error> {
    let Some(num) = users::num(tx, user_id)? else { return Ok(false) };
    Ok(rooms::notice_room(tx, num)? == Some(room.num))
}

/// Knocks on a room.
pub fn knock(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    room: &mut Room,
    reason: Option<&str>,
) -> Result<(), Error> {
    if rooms::blocked_by(tx, &room.room_id)?.is_some() {
        return Err(Error::Blocked);
    }
    if user.suspended {
        return Err(Error::Suspended("Knocking on rooms while account is suspended is not allowed."));
    }
    let mut content = content(Membership::Knock, reason);
    with_profile(tx, &user.user_id, &mut content)?;
    set(tx, home, room, own(&user.user_id, content), ctx.now)
}

/// Returns true if an account takes no invites.
/// <https://spec.matrix.org/v1.18/client-server-api/#invite-permission>
pub fn blocks_invites(tx: &ReadTx<'_>, user_num: UserNum) -> Result<bool, DbError> {
    let Some(config) = data::find(tx, user_num, "", INVITE_PERMISSION)? else { return Ok(false) };
    Ok(config.get("default_action").is_some_and(|action| action == "block"))
}

/// Refuses an invite to a user who takes none. This concerns members' own invites only: invites by an administrator of
/// the server, and to server notices, reach everybody.
pub(crate) fn check_takes_invites(tx: &ReadTx<'_>, target: &str) -> Result<(), Error> {
    match users::num(tx, target)? {
        Some(num) if blocks_invites(tx, num)? => Err(Error::InviteBlocked),
        Some(_) | None => Ok(()),
    }
}

/// An invite.
#[derive(Clone, Copy, Debug)]
pub struct Invite<'a> {
    /// The user id of the invited user.
    pub target: &'a str,
    /// The reason.
    pub reason: Option<&'a str>,
    /// True if the room is a direct chat.
    pub is_direct: bool,
}

impl<'a> Invite<'a> {
    /// Returns an invite without reason.
    pub fn of(target: &'a str) -> Self {
        Self { target, reason: None, is_direct: false }
    }
}

/// Invites a user. An invite by a shadow-banned user reaches nobody.
pub fn invite(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    room: &mut Room,
    invite: Invite<'_>,
) -> Result<(), Error> {
    let target = invite.target;
    if current(tx, &user.user_id, room)? != Membership::Join {
        return Err(Error::forbidden(format!("User {} not in room {}", user.user_id, room.room_id)));
    }
    if user.suspended {
        return Err(Error::Suspended("Sending invites while account is suspended is not allowed."));
    }
    check_target(home, target)?;
    if rooms::blocked_by(tx, &room.room_id)?.is_some() {
        return Err(Error::Blocked);
    }
    if current(tx, target, room)? == Membership::Join {
        return Err(Error::forbidden(format!("{target} is already in the room.")));
    }
    check_takes_invites(tx, target)?;
    if user.shadow_banned {
        return Ok(());
    }
    invite_as(tx, home, ctx, &user.user_id, room, invite)
}

/// Invites a user in the name of a member.
pub(crate) fn invite_as(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    sender: &str,
    room: &mut Room,
    Invite { target, reason, is_direct }: Invite<'_>,
) -> Result<(), Error> {
    let mut content = content(Membership::Invite, reason);
    if is_direct {
        content.insert("is_direct".to_owned(), json!(true));
    }
    with_profile(tx, target, &mut content)?;
    set(tx, home, room, Draft::state(types::MEMBER, target, sender, content), ctx.now)
}

/// The authority by which a user joins a room without asking for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinedBy {
    /// The rules of the room, which must allow it.
    Rules,
    /// An administrator of the server, whatever the rules of the room.
    Administrator,
}

/// Lets a user join a room, without a check of the account.
pub(crate) fn join_as(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    user_id: &str,
    by: JoinedBy,
    now: Millis,
) -> Result<(), Error> {
    let mut content = content(Membership::Join, None);
    with_profile(tx, user_id, &mut content)?;
    let draft = Draft { bypass_auth: by == JoinedBy::Administrator, ..own(user_id, content) };
    set(tx, home, room, draft, now)
}

/// Removes the guests from a room that no longer admits guests.
pub(crate) fn remove_guests(tx: &mut Tx<'_>, home: &Home, room: &mut Room, now: Millis) -> Result<(), Error> {
    for member in memberships::guests_of_room(tx, room.num, MAX_ASKED)? {
        set(tx, home, room, own(&member, content(Membership::Leave, None)), now)?;
    }
    Ok(())
}

/// Refuses users of other servers, which this server cannot reach.
pub(crate) fn check_target(home: &Home, target: &str) -> Result<(), Error> {
    id::split(target).map_err(|error| Error::Invalid(error.to_string()))?;
    if home.is_local(target) {
        Ok(())
    } else {
        Err(Error::forbidden("This server does not reach users of other servers"))
    }
}

/// The removal of one member by another.
#[derive(Clone, Copy, Debug)]
pub struct Removal<'a> {
    /// The user id of the removed member.
    pub target: &'a str,
    /// The kind of removal.
    pub kind: RemovalKind,
    /// The reason.
    pub reason: Option<&'a str>,
}

/// A kind of removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalKind {
    /// The member has to leave.
    Kick,
    /// The member has to leave, and cannot join again.
    Ban,
    /// The ban is lifted.
    Unban,
}

/// Kicks, bans or unbans somebody.
pub fn remove(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    room: &mut Room,
    Removal { target, kind, reason }: Removal<'_>,
) -> Result<(), Error> {
    if current(tx, &user.user_id, room)? != Membership::Join {
        return Err(Error::forbidden(format!("User {} not in room {}", user.user_id, room.room_id)));
    }
    if user.suspended {
        return Err(Error::Suspended(CHANGING));
    }
    id::split(target).map_err(|error| Error::Invalid(error.to_string()))?;
    UserId::parse(target).map_err(|_| Error::Invalid("Invalid user id".to_owned()))?;
    let before = current(tx, target, room)?;
    let membership = match kind {
        RemovalKind::Kick if matches!(before, Membership::Leave | Membership::Ban) => {
            return Err(Error::forbidden("The target user is not in the room"));
        }
        // Without a ban there is nothing to lift, and no state to change.
        RemovalKind::Unban if memberships::find(tx, target, room.num)?.is_none() => {
            let powers = PowerLevels::of(tx, room)?;
            let own = powers.user(&user.user_id);
            if own < powers.action("kick") || own <= powers.user(target) {
                return Err(Error::forbidden("You don't have permission to unban"));
            }
            return Ok(());
        }
        RemovalKind::Unban if before != Membership::Ban => {
            return Err(Error::BadState("Cannot unban user who was not banned".to_owned()));
        }
        RemovalKind::Ban => Membership::Ban,
        RemovalKind::Kick | RemovalKind::Unban => Membership::Leave,
    };
    let draft = Draft::state(types::MEMBER, target, &user.user_id, content(membership, reason));
    set(tx, home, room, draft, ctx.now)
}

/// Forgets a room that the user has left.
pub fn forget(tx: &mut Tx<'_>, user_id: &str, room_id: &str) -> Result<(), Error> {
    let member = match rooms::find(tx, room_id)? {
        Some(room) => memberships::find(tx, user_id, room.num)?,
        None => None,
    };
    match member {
        Some(member) if matches!(member.membership, Membership::Leave | Membership::Ban) => {
            memberships::forget(tx, user_id, member.room_num)?;
            Ok(())
        }
        Some(_) => Err(Error::Refused(format!("User {user_id} in room {room_id}"))),
        None => Err(Error::Refused(format!("User {user_id} was never in room {room_id}"))),
    }
}
