//! Deeds of administrators on rooms that they need not be in: blocking, letting accounts join, granting power.

use reeve_accounts::rights;
use reeve_db::{ReadTx, Tx};
use reeve_model::{Actor, Ctx, Membership, Scope, User, id};
use reeve_store::rooms::{self, Room};
use reeve_store::users;
use serde_json::{Map, Value, json};

use crate::Home;
use crate::error::Error;
use crate::event::{self, Draft};
use crate::membership::{self, Invite};
use crate::power::{self, PowerLevels};
use crate::types;

const NOT_LOCAL: &str = "This endpoint can only be used with local users";
/// The level that creators who rank above every level grant to others.
const FULL_POWER: i64 = 100;

/// Returns true if a text has the form of a room id: with a server name, or, since version 12, the hash of the first
/// event.
pub fn is_room_id(text: &str) -> bool {
    let is_hash = |rest: &str| {
        rest.len() == 43 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.strip_prefix('!').is_some_and(|rest| rest.contains(':') || is_hash(rest))
}

/// Returns the room of an id or alias; `None` for an unknown id.
pub fn room(tx: &ReadTx<'_>, id_or_alias: &str) -> Result<Option<Room>, Error> {
    if is_room_id(id_or_alias) {
        return Ok(rooms::find(tx, id_or_alias)?);
    }
    let is_alias = id_or_alias.strip_prefix('#').is_some_and(|rest| rest.contains(':'));
    if !is_alias {
        return Err(Error::Refused(format!("{id_or_alias} was not legal room ID or room alias")));
    }
    let missing = || Error::Missing(format!("Room alias {id_or_alias} not found"));
    let alias = rooms::alias(tx, id_or_alias)?.ok_or_else(missing)?;
    Ok(rooms::find(tx, &alias.room_id)?)
}

/// Blocks or unblocks a room, which need not exist.
pub fn block(tx: &mut Tx<'_>, ctx: &Ctx, room_id: &str, block: bool) -> Result<(), Error> {
    if rooms::blocked_by(tx, room_id)?.is_some() == block {
        return Ok(());
    }
    let action = if block { "room.block" } else { "room.unblock" };
    if block {
        rooms::block(tx, room_id, ctx.actor.as_ref().map(Actor::id).unwrap_or_default(), ctx.now)?;
    } else {
        rooms::unblock(tx, room_id)?;
    }
    Ok(reeve_accounts::audit::record(tx, ctx, action, room_id, &json!({}))?)
}

/// Lets an account join a room: by itself if it may, else after an invite by the inviter, who must be a member. Returns
/// the id of the room.
pub fn join(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    inviter: Option<&User>,
    target: &str,
    id_or_alias: &str,
) -> Result<String, Error> {
    let target = users::find(tx, target)?.ok_or(Error::NotFound("User not found"))?;
    let room = room(tx, id_or_alias)?;
    // A block outlives its room.
    let room_id = room.as_ref().map_or(id_or_alias, |room| room.room_id.as_str());
    if rooms::blocked_by(tx, room_id)?.is_some() {
        return Err(Error::Blocked);
    }
    let mut room = room.ok_or(Error::NotFound("Room not found"))?;
    if target.deactivated {
        return Err(Error::forbidden(event::DEACTIVATED));
    }
    let current = membership::current(tx, &target.user_id, &room)?;
    match current {
        Membership::Join => return Ok(room.room_id),
        Membership::Ban => {
            return Err(Error::forbidden(format!("{} is banned from the room", target.user_id)));
        }
        Membership::Invite | Membership::Knock | Membership::Leave => {}
    }
    if room.join_rule.as_deref() != Some("public") && current != Membership::Invite {
        let Some(inviter) = inviter else {
            return Err(Error::forbidden(format!(
                "{} is not invited to room {}.",
                target.user_id, room.room_id
            )));
        };
        if membership::current(tx, &inviter.user_id, &room)? != Membership::Join {
            return Err(Error::forbidden(format!("{} not in room {}.", inviter.user_id, room.room_id)));
        }
        membership::invite_as(tx, home, ctx, &inviter.user_id, &mut room, Invite::of(&target.user_id))?;
    }
    membership::join(tx, home, ctx, &target, &mut room, None)?;
    let changes = json!({ "user_id": target.user_id });
    reeve_accounts::audit::record(tx, ctx, "room.join", &room.room_id, &changes)?;
    Ok(room.room_id)
}

/// Makes an account leave a room, decline an invite or withdraw a knock, in its own name; returns false if it is not in
/// the room.
pub fn remove(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    target: &User,
    id_or_alias: &str,
) -> Result<bool, Error> {
    rights::check_may_change(tx, ctx, target)?;
    let mut room = room(tx, id_or_alias)?.ok_or(Error::NotFound("Room not found"))?;
    match membership::current(tx, &target.user_id, &room)? {
        Membership::Join | Membership::Invite | Membership::Knock => {}
        Membership::Leave | Membership::Ban => return Ok(false),
    }
    membership::leave(tx, home, ctx, &target.user_id, &mut room, None)?;
    let changes = json!({ "user_id": target.user_id });
    reeve_accounts::audit::record(tx, ctx, "room.remove", &room.room_id, &changes)?;
    Ok(true)
}

/// Grants an account the level of the member of this server with the highest one, who also invites the account if it
/// cannot join by itself. An actor who may not read messages can only do so for a member.
pub fn make_admin(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    target: &str,
    id_or_alias: &str,
) -> Result<(), Error> {
    id::split(target).map_err(|_| Error::Refused(format!("Not a valid user_id: {target}")))?;
    if !home.is_local(target) {
        return Err(Error::Refused(NOT_LOCAL.to_owned()));
    }
    users::num(tx, target)?.ok_or(Error::NotFound("User not found"))?;
    let room = room(tx, id_or_alias)?.filter(|room| room.joined_members > 0);
    let mut room = room.ok_or_else(|| Error::Refused("Server not in room".to_owned()))?;
    let powers = PowerLevels::of(tx, &room)?;
    let (giver, level) = highest_power_member(tx, home, &room, &powers)?
        .ok_or_else(|| Error::Refused("No local admin user in room".to_owned()))?;
    if level < powers.event(types::POWER_LEVELS, true) {
        let text = "No local admin user in room with power to update power levels.";
        return Err(Error::Refused(text.to_owned()));
    }
    // The power comes from this member, and may open a room to somebody who has not been in it.
    rights::check_may_change_any(tx, ctx, &giver)?;
    let current = membership::current(tx, target, &room)?;
    if current != Membership::Join {
        rights::check_holds(ctx, Scope::MessagesRead)?;
    }
    let granted = if level == i64::MAX { FULL_POWER } else { level };
    if powers.user(target) < granted {
        let mut content = power::with_integers(powers.content().clone());
        let users = content.entry("users").or_insert_with(|| json!({}));
        if let Value::Object(users) = users {
            users.insert(target.to_owned(), json!(granted));
        }
        event::append(tx, home, &mut room, Draft::state(types::POWER_LEVELS, "", &giver, content), ctx.now)?;
    }
    if room.join_rule.as_deref() != Some("public")
        && !matches!(current, Membership::Join | Membership::Invite)
    {
        if rooms::blocked_by(tx, &room.room_id)?.is_some() {
            return Err(Error::Blocked);
        }
        membership::invite_as(tx, home, ctx, &giver, &mut room, Invite::of(target))?;
    }
    let changes = json!({ "user_id": target, "by": giver });
    Ok(reeve_accounts::audit::record(tx, ctx, "room.make_admin", &room.room_id, &changes)?)
}

/// Bans a user from a room: in the name of the actor, if that is an account with the power to do so, else in that of the
/// member of this server with the highest level.
pub fn ban(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    room: &mut Room,
    target: &str,
    reason: Option<&str>,
) -> Result<(), Error> {
    if membership::current(tx, target, room)? == Membership::Ban {
        return Ok(());
    }
    let powers = PowerLevels::of(tx, room)?;
    let may = |level: i64| level >= powers.action("ban") && level > powers.user(target);
    let actor = match ctx.account() {
        Some(actor) if membership::current(tx, actor, room)? == Membership::Join => Some(actor.to_owned()),
        Some(_) | None => None,
    };
    let by = match actor.filter(|actor| may(powers.user(actor))) {
        Some(actor) => Some(actor),
        None => highest_power_member(tx, home, room, &powers)?
            .and_then(|(member, level)| may(level).then_some(member)),
    };
    let by = by.ok_or_else(|| Error::forbidden("Nobody in the room has the power to ban the user"))?;
    if !ctx.is_by(&by) {
        rights::check_may_change_any(tx, ctx, &by)?;
    }
    let content = membership::content(Membership::Ban, reason);
    event::append(tx, home, room, Draft::state(types::MEMBER, target, &by, content), ctx.now)?;
    let changes = json!({ "user_id": target, "by": by });
    Ok(reeve_accounts::audit::record(tx, ctx, "room.ban", &room.room_id, &changes)?)
}

/// Returns the joined member of this server with the highest level, and that level.
fn highest_power_member(
    tx: &ReadTx<'_>,
    home: &Home,
    room: &Room,
    powers: &PowerLevels,
) -> Result<Option<(String, i64)>, Error> {
    let listed = powers.content().get("users").and_then(Value::as_object).map(Map::keys);
    let privileged = powers.creators().iter().filter(|creator| powers.is_privileged(creator));
    let mut best: Option<(String, i64)> = None;
    for user_id in privileged.chain(listed.into_iter().flatten()) {
        let level = powers.user(user_id);
        if best.as_ref().is_none_or(|(_, highest)| level > *highest)
            && home.is_local(user_id)
            && membership::current(tx, user_id, room)? == Membership::Join
        {
            best = Some((user_id.clone(), level));
        }
    }
    Ok(best)
}
