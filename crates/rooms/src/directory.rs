//! Finding rooms and people: aliases, the public room directory, spaces, the user directory.

use std::collections::{HashSet, VecDeque};

use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, Membership, Pos, User};
use reeve_store::events;
use reeve_store::rooms::{self, Room};
use reeve_store::{memberships, user_search, users};
use ruma::RoomId;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::membership::{self, Powers};
use crate::types;
use crate::view::{View, Viewer};
use crate::{Home, event};

/// The longest alias, in bytes.
const MAX_ALIAS: usize = 255;
/// How many published rooms are looked at for one page of a search.
const MOST_LOOKED_AT: usize = 10_000;
/// How many are read at once.
const BATCH: i64 = 200;

/// Gives a room the alias with a localpart on this server, and returns it; refuses what cannot be one or is taken.
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

/// Checks that a text is an alias of this server; answers its localpart.
fn local_alias<'a>(home: &Home, alias: &'a str) -> Result<&'a str, Error> {
    let invalid = || Error::Invalid(format!("{alias} was not legal room alias"));
    let (localpart, domain) =
        alias.strip_prefix('#').and_then(|rest| rest.split_once(':')).ok_or_else(invalid)?;
    if domain != &*home.server_name {
        return Err(Error::Invalid("Room alias must be local".to_owned()));
    }
    Ok(localpart)
}

/// The room that an alias stands for.
pub fn resolve(tx: &ReadTx<'_>, alias: &str) -> Result<rooms::Alias, Error> {
    let legal = alias.strip_prefix('#').is_some_and(|rest| rest.contains(':'));
    if !legal {
        return Err(Error::Invalid(format!("Room alias invalid: {alias}")));
    }
    rooms::alias(tx, alias)?.ok_or(Error::NotFound("Room alias not found"))
}

/// The id of the room that an id or an alias stands for.
fn room_id(tx: &ReadTx<'_>, room_id_or_alias: &str) -> Result<String, Error> {
    match room_id_or_alias.as_bytes().first() {
        Some(b'!') => Ok(room_id_or_alias.to_owned()),
        Some(b'#') => Ok(resolve(tx, room_id_or_alias)?.room_id),
        _ => Err(Error::Invalid(format!("{room_id_or_alias} was not legal room ID or room alias"))),
    }
}

/// The room that an id or an alias stands for, for a user who wants to join it or to knock. A room that the user must not
/// know of is refused like one that does not exist.
pub fn room_to_enter(tx: &ReadTx<'_>, user_id: &str, room_id_or_alias: &str) -> Result<Room, Error> {
    let room_id = room_id(tx, room_id_or_alias)?;
    // A block outlives the room.
    if rooms::blocked_by(tx, &room_id)?.is_some() {
        return Err(Error::Blocked);
    }
    known_room(tx, user_id, &room_id)?.ok_or_else(|| Error::forbidden("You are not invited to this room."))
}

/// A room, if a user may know that it exists: the user may preview it, or was ever in touch with it.
pub(crate) fn known_room(tx: &ReadTx<'_>, user_id: &str, room_id: &str) -> Result<Option<Room>, Error> {
    let Some(room) = rooms::find(tx, room_id)? else { return Ok(None) };
    let known = memberships::find(tx, user_id, room.num)?.is_some() || may_preview(tx, user_id, &room)?;
    Ok(known.then_some(room))
}

/// Makes an alias for a room in which the user is.
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
    let missing = || {
        if user.admin || !is_id {
            Error::Invalid(format!("Room {room_id} does not exist"))
        } else {
            Error::forbidden("You must be in the room to create an alias for it")
        }
    };
    let room = rooms::find(tx, room_id)?.ok_or_else(missing)?;
    if !user.admin && membership::current(tx, &user.user_id, &room)? != Membership::Join {
        return Err(missing());
    }
    add_alias(tx, home, ctx, user, &room, localpart)?;
    Ok(())
}

/// Takes an alias away: by who made it, who has the power in its room, or an administrator.
pub fn delete_alias(tx: &mut Tx<'_>, home: &Home, ctx: &Ctx, user: &User, alias: &str) -> Result<(), Error> {
    local_alias(home, alias)?;
    let found = rooms::alias(tx, alias)?.ok_or(Error::NotFound("Unknown room alias"))?;
    let mut room = rooms::find(tx, &found.room_id)?.ok_or(Error::NotFound("Unknown room"))?;
    let powers = Powers::of(tx, &room)?;
    let is_member = membership::current(tx, &user.user_id, &room)? == Membership::Join;
    let has_power = is_member && powers.user(&user.user_id) >= powers.event(types::CANONICAL_ALIAS, true);
    if found.creator != user.user_id && !has_power && !user.admin {
        return Err(Error::forbidden("You don't have permission to delete the alias."));
    }
    rooms::delete_alias(tx, alias)?;
    // The room no longer calls itself so, if whoever deletes may say it.
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
    if content != before && has_power && !user.shadow_banned {
        let draft = event::Draft::state(types::CANONICAL_ALIAS, "", &user.user_id, content);
        event::append(tx, home, &mut room, &draft, ctx.now)?;
    }
    Ok(())
}

/// The aliases of a room, for who is in it, an administrator, or everybody if the world may read it.
pub fn aliases(tx: &ReadTx<'_>, user: &User, room_id: &str) -> Result<Vec<String>, Error> {
    let refused = || Error::forbidden(format!("User {} not in room {room_id}", user.user_id));
    let room = rooms::find(tx, room_id)?.ok_or_else(refused)?;
    let readable = room.history_visibility.as_deref() == Some("world_readable");
    if !readable && !user.admin && membership::current(tx, &user.user_id, &room)? != Membership::Join {
        return Err(refused());
    }
    Ok(rooms::aliases(tx, room.num)?)
}

/// Checks that the new aliases in an `m.room.canonical_alias` event stand for the room.
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

/// Whether the public room directory shows a room. `user_id` asks, if a session does.
pub fn is_published(tx: &ReadTx<'_>, user_id: Option<&str>, room_id: &str) -> Result<bool, Error> {
    let room = rooms::find(tx, room_id)?;
    if room.as_ref().is_some_and(|room| room.published || is_open(room)) {
        return Ok(room.is_some_and(|room| room.published));
    }
    let known = user_id.map(|user_id| known_room(tx, user_id, room_id)).transpose()?.flatten();
    Ok(known.ok_or(Error::NotFound("Unknown room"))?.published)
}

/// Shows a room in the public room directory, or not any more.
pub fn publish(tx: &mut Tx<'_>, user: &User, room_id: &str, published: bool) -> Result<(), Error> {
    let refused = || {
        if user.admin {
            Error::NotFound("Unknown room")
        } else {
            Error::forbidden(
                "This server requires you to be a moderator in the room to edit its room list entry",
            )
        }
    };
    let before = rooms::find(tx, room_id)?.ok_or_else(refused)?;
    let powers = Powers::of(tx, &before)?;
    let is_member = membership::current(tx, &user.user_id, &before)? == Membership::Join;
    let may = is_member && powers.user(&user.user_id) >= powers.event(types::CANONICAL_ALIAS, true);
    if !may && !user.admin {
        return Err(refused());
    }
    let after = Room { published, ..before.clone() };
    rooms::update(tx, &before, &after)?;
    Ok(())
}

/// How a room presents itself to those who have not joined.
#[derive(Clone, Debug, Serialize)]
pub struct PublicRoom {
    /// Its id.
    pub room_id: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Its main alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_alias: Option<String>,
    /// How many have joined.
    pub num_joined_members: i64,
    /// Its avatar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Whether everybody may read it.
    pub world_readable: bool,
    /// Whether guests may join.
    pub guest_can_join: bool,
    /// Who may join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_rule: Option<String>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_type: Option<String>,
}

impl From<&Room> for PublicRoom {
    fn from(room: &Room) -> Self {
        Self {
            room_id: room.room_id.clone(),
            name: rooms::shown(room.name.as_ref()).cloned(),
            topic: rooms::shown(room.topic.as_ref()).cloned(),
            canonical_alias: room.canonical_alias.clone(),
            num_joined_members: room.joined_members,
            avatar_url: rooms::shown(room.avatar_url.as_ref()).cloned(),
            world_readable: room.history_visibility.as_deref() == Some("world_readable"),
            guest_can_join: room.guest_access.as_deref() == Some("can_join"),
            join_rule: room.join_rule.clone(),
            room_type: room.room_type.clone(),
        }
    }
}

/// Which published rooms are wanted.
#[derive(Clone, Debug, Default)]
pub struct RoomSearch {
    /// A text that the name, topic or alias contains.
    pub term: Option<String>,
    /// Which types; an empty text for rooms without one. `None` for all.
    pub types: Option<Vec<String>>,
    /// How many.
    pub limit: i64,
    /// Where to go on: members and id of the room at the border, and whether to go back.
    pub since: Option<(i64, String, bool)>,
}

/// A page of published rooms.
#[derive(Debug)]
pub struct PublicRooms {
    /// The rooms, the largest first.
    pub chunk: Vec<PublicRoom>,
    /// Where the list goes on.
    pub next: Option<(i64, String)>,
    /// Where the page before begins.
    pub prev: Option<(i64, String)>,
    /// How many rooms are published.
    pub total: i64,
}

/// A page of published rooms.
pub fn published(tx: &ReadTx<'_>, wanted: &RoomSearch) -> Result<PublicRooms, Error> {
    let limit = usize::try_from(wanted.limit.clamp(1, 500)).unwrap_or(1);
    let term = wanted.term.as_ref().map(|term| term.to_lowercase()).filter(|term| !term.is_empty());
    let has_term = |room: &Room| {
        let Some(term) = &term else { return true };
        let texts = [&room.name, &room.topic, &room.canonical_alias];
        texts.into_iter().flatten().any(|text| text.to_lowercase().contains(term.as_str()))
    };
    let is_of_type = |room: &Room| {
        let Some(types) = &wanted.types else { return true };
        types.iter().any(|wanted| *wanted == room.room_type.clone().unwrap_or_default())
    };
    let backwards = wanted.since.as_ref().is_some_and(|(_, _, backwards)| *backwards);
    let (mut members, mut room_id) = match &wanted.since {
        Some((members, room_id, _)) => (*members, room_id.clone()),
        None => (i64::MAX, String::new()),
    };
    let (mut found, mut looked_at, mut more) = (Vec::new(), 0, true);
    while more && found.len() <= limit && looked_at < MOST_LOOKED_AT {
        let batch = if backwards {
            rooms::published_after(tx, (members, &room_id), BATCH)?
        } else {
            rooms::published(tx, (members, &room_id), BATCH)?
        };
        more = batch.len() == usize::try_from(BATCH).unwrap_or(0);
        looked_at += batch.len();
        if let Some(last) = batch.last() {
            (members, room_id) = (last.joined_members, last.room_id.clone());
        }
        found.extend(batch.into_iter().filter(|room| has_term(room) && is_of_type(room)));
    }
    let beyond = found.len() > limit;
    found.truncate(limit);
    if backwards {
        found.reverse();
    }
    let border = |room: Option<&Room>| room.map(|room| (room.joined_members, room.room_id.clone()));
    let (first, last) = (border(found.first()), border(found.last()));
    Ok(PublicRooms {
        chunk: found.iter().map(PublicRoom::from).collect(),
        next: last.filter(|_| beyond || backwards),
        prev: first.filter(|_| if backwards { beyond } else { wanted.since.is_some() }),
        total: rooms::count_published(tx)?,
    })
}

/// Whether everybody may see how a room presents itself.
fn is_open(room: &Room) -> bool {
    matches!(room.join_rule.as_deref(), Some("public" | "knock" | "knock_restricted"))
        || room.history_visibility.as_deref() == Some("world_readable")
}

/// Whether somebody may see how a room presents itself: who is in it or invited, who could join, everybody if the
/// world may read it.
pub fn may_preview(tx: &ReadTx<'_>, user_id: &str, room: &Room) -> Result<bool, Error> {
    match membership::current(tx, user_id, room)? {
        Membership::Join | Membership::Invite => return Ok(true),
        Membership::Ban => return Ok(false),
        Membership::Knock | Membership::Leave => {}
    }
    if is_open(room) {
        return Ok(true);
    }
    if room.join_rule.as_deref() == Some("restricted") {
        for allowed in allowed_rooms(tx, room)? {
            if let Some(other) = rooms::find(tx, &allowed)?
                && membership::current(tx, user_id, &other)? == Membership::Join
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The rooms whose members a restricted room lets in.
pub fn allowed_rooms(tx: &ReadTx<'_>, room: &Room) -> Result<Vec<String>, Error> {
    let rule = event::state_content(tx, room, types::JOIN_RULES, "")?.unwrap_or_default();
    let allowed = rule.get("allow").and_then(Value::as_array).cloned().unwrap_or_default();
    let room_ids = allowed.iter().filter_map(|condition| condition.get("room_id").and_then(Value::as_str));
    Ok(room_ids.map(str::to_owned).collect())
}

/// Which part of a space is wanted.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    /// How deep to go; `None` for all the way.
    pub max_depth: Option<i64>,
    /// Whether rooms that are not suggested are left out.
    pub suggested_only: bool,
    /// How many rooms.
    pub limit: usize,
    /// How many to skip.
    pub from: usize,
}

/// The rooms of a space, each before its children, and how many to skip for the next page.
/// <https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1roomsroomidhierarchy>
pub fn hierarchy(
    view: &View<'_, '_>,
    viewer: Option<&Viewer>,
    root: &Room,
    wanted: &Hierarchy,
) -> Result<(Vec<Value>, Option<usize>), Error> {
    let tx = view.tx;
    let mut queue = VecDeque::from([(root.clone(), 0)]);
    let mut seen = HashSet::from([root.room_id.clone()]);
    let (mut found, mut index) = (Vec::new(), 0);
    while let Some((room, depth)) = queue.pop_front() {
        if let Some(viewer) = viewer
            && !may_preview(tx, &viewer.user_id, &room)?
        {
            continue;
        }
        if found.len() == wanted.limit {
            return Ok((found, Some(index)));
        }
        let children = if room.room_type.as_deref() == Some("m.space") {
            children(tx, &room, wanted.suggested_only)?
        } else {
            Vec::new()
        };
        if index >= wanted.from {
            found.push(summary(tx, &room, &children)?);
        }
        index += 1;
        if wanted.max_depth.is_some_and(|most| depth >= most) {
            continue;
        }
        for child in children.iter().rev() {
            let Some(room_id) = child.get("state_key").and_then(Value::as_str) else { continue };
            if seen.insert(room_id.to_owned())
                && let Some(child) = rooms::find(tx, room_id)?
            {
                queue.push_front((child, depth + 1));
            }
        }
    }
    Ok((found, None))
}

fn summary(tx: &ReadTx<'_>, room: &Room, children: &[Value]) -> Result<Value, Error> {
    let mut summary = serde_json::to_value(PublicRoom::from(room)).map_err(Error::internal)?;
    if let Value::Object(summary) = &mut summary {
        summary.insert("children_state".to_owned(), json!(children));
        summary.insert("room_version".to_owned(), json!(room.version));
        if let Some(encryption) = &room.encryption {
            summary.insert("encryption".to_owned(), json!(encryption));
        }
        if matches!(room.join_rule.as_deref(), Some("restricted" | "knock_restricted")) {
            summary.insert("allowed_room_ids".to_owned(), json!(allowed_rooms(tx, room)?));
        }
    }
    Ok(summary)
}

/// How a room presents itself to a viewer, and the viewer's membership. `user_id` asks, if a session does.
/// <https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1room_summaryroomidoralias>
pub fn room_summary(tx: &ReadTx<'_>, user_id: Option<&str>, room_id_or_alias: &str) -> Result<Value, Error> {
    let not_found = || Error::NotFound("Unable to find the room");
    let room_id = match room_id(tx, room_id_or_alias) {
        Err(Error::NotFound(_)) => return Err(not_found()),
        found => found?,
    };
    let room = &rooms::find(tx, &room_id)?.ok_or_else(not_found)?;
    let may = match user_id {
        Some(user_id) => may_preview(tx, user_id, room)?,
        None => is_open(room),
    };
    if !may {
        return Err(not_found());
    }
    let mut summary = summary(tx, room, &[])?;
    if let Value::Object(summary) = &mut summary {
        summary.shift_remove("children_state");
        if let Some(user_id) = user_id {
            summary.insert("membership".to_owned(), json!(membership::current(tx, user_id, room)?));
        }
    }
    Ok(summary)
}

/// The children of a space, in their order.
/// <https://spec.matrix.org/v1.18/client-server-api/#ordering-of-children-within-a-space>
fn children(tx: &ReadTx<'_>, room: &Room, suggested_only: bool) -> Result<Vec<Value>, Error> {
    let rules = event::rules(room)?;
    let mut found = Vec::new();
    for child in events::state_of_type_at(tx, room.num, types::SPACE_CHILD, Pos::PRESENT)? {
        let content = event::content(&child, &rules)?;
        let has_via = content.get("via").and_then(Value::as_array).is_some_and(|via| !via.is_empty());
        let suggested = content.get("suggested") == Some(&Value::Bool(true));
        if !has_via || (suggested_only && !suggested) {
            continue;
        }
        let order = content
            .get("order")
            .and_then(Value::as_str)
            .filter(|order| order.len() <= 50 && order.bytes().all(|b| (0x20..=0x7e).contains(&b)));
        let key = (order.is_none(), order.map(str::to_owned), child.ts, child.state_key.clone());
        found.push((
            key,
            json!({
                "type": child.event_type,
                "state_key": child.state_key,
                "sender": child.sender,
                "origin_server_ts": child.ts,
                "content": content,
            }),
        ));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found.into_iter().map(|(_, child)| child).collect())
}

/// People whose name contains a text, as far as the one who asks may know of them; whether there are more.
/// <https://spec.matrix.org/v1.18/client-server-api/#user-directory>
pub fn search_users(
    tx: &ReadTx<'_>,
    home: &Home,
    user: &User,
    term: &str,
    limit: usize,
) -> Result<(Vec<User>, bool), Error> {
    const MOST_CANDIDATES: i64 = 2000;
    // Whoever gives a whole user id means the part that differs.
    let term = term.trim().trim_start_matches('@').split(':').next().unwrap_or_default();
    let mut found = Vec::new();
    if term.is_empty() {
        return Ok((found, false));
    }
    for num in user_search::nums(tx, term, MOST_CANDIDATES)? {
        let Some(other) = users::by_num(tx, num)? else { continue };
        let hidden = other.deactivated
            || other.locked
            || other.user_type.as_deref() == Some("support")
            || other.is_guest;
        if hidden || other.appservice_id.is_some() {
            continue;
        }
        let known = home.settings.search_all_users
            || other.num == user.num
            || memberships::in_public_room(tx, &other.user_id)?
            || memberships::share_room(tx, &user.user_id, &other.user_id)?;
        if known {
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(other);
        }
    }
    Ok((found, false))
}
