//! Aliases of rooms.

use reeve_accounts::audit;
use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, Membership, Scope, Scopes, User};
use reeve_store::rooms::{self, Room};
use ruma::RoomId;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::membership;
use crate::power::PowerLevels;
use crate::types;
use crate::{Home, event};

/// The longest alias, in bytes.
const MAX_ALIAS: usize = 255;

/// Adds the alias with a localpart on this server to a room, and returns it. Refuses an invalid or taken one.
pub(crate) fn add_alias(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    room: &Room,
    localpart: &str,
) -> Result<String, Error> {
    if localpart.is_empty() || localpart.chars().any(|c| c.is_whitespace() || c == ':' || c == '\0') {
        return Err(Error::Invalid("Invalid characters in room alias".to_owned()));
    }
    let alias = format!("#{localpart}:{}", home.server_name);
    if alias.len() > MAX_ALIAS {
        return Err(Error::Invalid("Room alias is too long".to_owned()));
    }
    if rooms::alias(tx, &alias)?.is_some() {
        return Err(Error::AliasInUse("Room alias already taken".to_owned()));
    }
    let (of_room, by_account) = (home.limits.aliases_per_room, home.limits.aliases_per_account);
    if rooms::count_aliases(tx, room.num, of_room)? >= of_room {
        return Err(reeve_accounts::Error::too_many("A room", of_room, "aliases").into());
    }
    if rooms::count_aliases_by(tx, &user.user_id, by_account)? >= by_account {
        return Err(reeve_accounts::Error::too_many("An account", by_account, "aliases").into());
    }
    rooms::insert_alias(tx, &alias, room.num, &user.user_id, ctx.now)?;
    Ok(alias)
}

/// Checks that a text is an alias of this server; returns its localpart.
fn local_alias<'a>(home: &Home, alias: &'a str) -> Result<&'a str, Error> {
    let invalid = || Error::Invalid(format!("{alias} was not legal room alias"));
    let (localpart, domain) =
        alias.strip_prefix('#').and_then(|rest| rest.split_once(':')).ok_or_else(invalid)?;
    if domain != &*home.server_name {
        return Err(Error::Invalid("Room alias must be local".to_owned()));
    }
    Ok(localpart)
}

/// Returns the room of an alias.
pub fn resolve(tx: &ReadTx<'_>, alias: &str) -> Result<rooms::Alias, Error> {
    let legal = alias.strip_prefix('#').is_some_and(|rest| rest.contains(':'));
    if !legal {
        return Err(Error::Invalid(format!("Room alias invalid: {alias}")));
    }
    rooms::alias(tx, alias)?.ok_or(Error::NotFound("Room alias not found"))
}

/// Returns the room id, given as such or by an alias.
pub(crate) fn room_id(tx: &ReadTx<'_>, room_id_or_alias: &str) -> Result<String, Error> {
    match room_id_or_alias.as_bytes().first() {
        Some(b'!') => Ok(room_id_or_alias.to_owned()),
        Some(b'#') => Ok(resolve(tx, room_id_or_alias)?.room_id),
        _ => Err(Error::Invalid(format!("{room_id_or_alias} was not legal room ID or room alias"))),
    }
}

/// Creates an alias for a room that the user has joined, or for any room if the actor holds [`Scope::RoomsWrite`].
pub fn create_alias(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: &User,
    alias: &str,
    room_id: &str,
) -> Result<(), Error> {
    let localpart = local_alias(home, alias)?;
    if rooms::alias(tx, alias)?.is_some() {
        return Err(Error::AliasInUse(format!("Room alias {alias} already exists")));
    }
    let is_id = RoomId::parse(room_id).is_ok();
    let holds_scope = ctx.scopes.contains(Scope::RoomsWrite);
    let missing = || {
        if holds_scope || !is_id {
            Error::Invalid(format!("Room {room_id} does not exist"))
        } else {
            Error::forbidden("You must be in the room to create an alias for it")
        }
    };
    let room = rooms::find(tx, room_id)?.ok_or_else(missing)?;
    if membership::current(tx, &user.user_id, &room)? != Membership::Join {
        if !holds_scope {
            return Err(missing());
        }
        audit::record(tx, ctx, "room.create_alias", room_id, &json!({ "alias": alias }))?;
    }
    add_alias(tx, home, ctx, user, &room, localpart)?;
    Ok(())
}

/// Deletes an alias. Its creator may, a member with enough power in its room, and an actor who holds [`Scope::RoomsWrite`].
/// `user` is the account of the actor, if it has one.
pub fn delete_alias(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    user: Option<&User>,
    alias: &str,
) -> Result<(), Error> {
    local_alias(home, alias)?;
    let found = rooms::alias(tx, alias)?.ok_or(Error::NotFound("Unknown room alias"))?;
    let mut room = rooms::find(tx, &found.room_id)?.ok_or(Error::NotFound("Unknown room"))?;
    let powerful = match user {
        Some(user) if has_power(tx, user, &room)? => Some(user),
        Some(_) | None => None,
    };
    if powerful.is_none() && user.is_none_or(|user| found.creator != user.user_id) {
        if !ctx.scopes.contains(Scope::RoomsWrite) {
            return Err(Error::forbidden("You don't have permission to delete the alias."));
        }
        audit::record(tx, ctx, "room.delete_alias", &room.room_id, &json!({ "alias": alias }))?;
    }
    rooms::delete_alias(tx, alias)?;
    // The alias is removed from the canonical alias event, if the user may send one.
    let Some(user) = powerful.filter(|user| !user.shadow_banned) else { return Ok(()) };
    let Some(mut content) = event::state_content(tx, &room, types::CANONICAL_ALIAS, "")? else {
        return Ok(());
    };
    let before = content.clone();
    if content.get("alias").and_then(Value::as_str) == Some(alias) {
        content.shift_remove("alias");
    }
    if let Some(Value::Array(others)) = content.get_mut("alt_aliases") {
        others.retain(|other| other != alias);
    }
    if content != before {
        let draft = event::Draft::state(types::CANONICAL_ALIAS, "", &user.user_id, content);
        event::append(tx, home, &mut room, draft, ctx.now)?;
    }
    Ok(())
}

/// Returns true if a user may change which aliases a room shows, and whether the public room directory lists it.
pub(crate) fn has_power(tx: &ReadTx<'_>, user: &User, room: &Room) -> Result<bool, Error> {
    let powers = PowerLevels::of(tx, room)?;
    let is_member = membership::current(tx, &user.user_id, room)? == Membership::Join;
    Ok(is_member && powers.user(&user.user_id) >= powers.event(types::CANONICAL_ALIAS, true))
}

/// Returns the aliases of a room, for a member, a caller who reads all rooms, or everybody if the room is world-readable.
/// `user` is the account of the caller, if it has one.
pub fn aliases(
    tx: &ReadTx<'_>,
    scopes: Scopes,
    user: Option<&User>,
    room_id: &str,
) -> Result<Vec<String>, Error> {
    let reads_all = scopes.contains(Scope::RoomsRead);
    let refused = || match user {
        Some(user) if !reads_all => Error::forbidden(format!("User {} not in room {room_id}", user.user_id)),
        Some(_) | None => Error::NotFound("Unknown room"),
    };
    let room = rooms::find(tx, room_id)?.ok_or_else(refused)?;
    let is_readable = room.history_visibility.as_deref() == Some("world_readable");
    let is_member = match user {
        Some(user) => membership::current(tx, &user.user_id, &room)? == Membership::Join,
        None => false,
    };
    if !is_readable && !is_member && !reads_all {
        return Err(refused());
    }
    Ok(rooms::aliases(tx, room.num)?)
}

/// Checks that the new aliases in an `m.room.canonical_alias` event belong to the room.
pub(crate) fn check_canonical_alias(
    tx: &ReadTx<'_>,
    room: &Room,
    content: &Map<String, Value>,
) -> Result<(), Error> {
    let listed = |content: &Map<String, Value>| -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        match content.get("alias") {
            None | Some(Value::Null) => {}
            Some(Value::String(alias)) => found.extend(Some(alias.clone()).filter(|alias| !alias.is_empty())),
            Some(_) => return Err(Error::Invalid("'alias' must be a string".to_owned())),
        }
        match content.get("alt_aliases") {
            None | Some(Value::Null) => {}
            Some(Value::Array(others)) => {
                for other in others {
                    let alias = other
                        .as_str()
                        .ok_or_else(|| Error::Invalid("'alt_aliases' must be strings".to_owned()))?;
                    found.push(alias.to_owned());
                }
            }
            Some(_) => return Err(Error::Invalid("'alt_aliases' must be a list".to_owned())),
        }
        Ok(found)
    };
    let before = match event::state_content(tx, room, types::CANONICAL_ALIAS, "")? {
        Some(content) => listed(&content).unwrap_or_default(),
        None => Vec::new(),
    };
    for alias in listed(content)? {
        if before.contains(&alias) {
            continue;
        }
        let legal = alias.strip_prefix('#').is_some_and(|rest| rest.contains(':'));
        if !legal {
            return Err(Error::Invalid(format!("'{alias}' is not a room alias")));
        }
        if rooms::alias(tx, &alias)?.is_none_or(|found| found.room_id != room.room_id) {
            return Err(Error::BadAlias(format!("Room alias {alias} does not point to the room")));
        }
    }
    Ok(())
}
