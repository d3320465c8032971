//! The public room directory.

use reeve_accounts::audit;
use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, Scope, User};
use reeve_store::rooms::PublishedCursor;
use reeve_store::rooms::{self, Room};
use serde::Serialize;
use serde_json::json;

use crate::aliases;
use crate::error::Error;
use crate::preview::{is_open, known_room};

/// The maximum number of published rooms that are read for one page of a search.
const MAX_LOOKED_AT: usize = 10_000;
/// The number of rooms in one read.
const BATCH: i64 = 200;

/// Returns true if the public room directory shows a room. `user_id` is the requester, if there is a session.
pub fn is_published(tx: &ReadTx<'_>, user_id: Option<&str>, room_id: &str) -> Result<bool, Error> {
    let room = rooms::find(tx, room_id)?;
    if room.as_ref().is_some_and(|room| room.published || is_open(room)) {
        return Ok(room.is_some_and(|room| room.published));
    }
    let known = user_id.map(|user_id| known_room(tx, user_id, room_id)).transpose()?.flatten();
    Ok(known.ok_or(Error::NotFound("Unknown room"))?.published)
}

/// Shows a room in the public room directory, or hides it. A member with enough power may, and an actor who holds
/// [`Scope::RoomsWrite`]. `user` is the account of the actor, if it has one.
pub fn publish(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user: Option<&User>,
    room_id: &str,
    published: bool,
) -> Result<(), Error> {
    let holds_scope = ctx.scopes.contains(Scope::RoomsWrite);
    let refused = || {
        if holds_scope {
            Error::NotFound("Unknown room")
        } else {
            Error::forbidden(
                "This server requires you to be a moderator in the room to edit its room list entry",
            )
        }
    };
    let before = rooms::find(tx, room_id)?.ok_or_else(refused)?;
    let has_power = match user {
        Some(user) => aliases::has_power(tx, user, &before)?,
        None => false,
    };
    if !has_power && !holds_scope {
        return Err(refused());
    }
    if !has_power && before.published != published {
        let action = if published { "room.publish" } else { "room.unpublish" };
        audit::record(tx, ctx, action, room_id, &json!({}))?;
    }
    let after = Room { published, ..before.clone() };
    rooms::update(tx, &before, &after)?;
    Ok(())
}

/// The public data of a room.
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
    /// The number of joined members.
    pub num_joined_members: i64,
    /// Its avatar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// True if it is world-readable.
    pub world_readable: bool,
    /// True if guests may join.
    pub guest_can_join: bool,
    /// Its join rule.
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

/// The published rooms to look for.
#[derive(Clone, Debug, Default)]
pub struct RoomSearch {
    /// A text that the name, topic or alias contains.
    pub term: Option<String>,
    /// Their types; an empty text for rooms without a type. `None` for all.
    pub types: Option<Vec<String>>,
    /// The maximum number.
    pub limit: i64,
    /// The boundary of another page; `None` for the first page.
    pub since: Option<Boundary>,
}

/// A boundary of a page of published rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// The room at the boundary.
    pub cursor: PublishedCursor,
    /// True for the page before it, false for the page after it.
    pub backwards: bool,
}

/// A page of published rooms.
#[derive(Debug)]
pub struct PublicRooms {
    /// The rooms, the largest first.
    pub chunk: Vec<PublicRoom>,
    /// The cursor of the next page.
    pub next: Option<PublishedCursor>,
    /// The cursor of the previous page.
    pub prev: Option<PublishedCursor>,
    /// The number of published rooms.
    pub total: i64,
}

/// Returns a page of published rooms.
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
    let backwards = wanted.since.as_ref().is_some_and(|since| since.backwards);
    let mut cursor = match &wanted.since {
        Some(since) => since.cursor.clone(),
        None => PublishedCursor { members: i64::MAX, room_id: String::new() },
    };
    let at = |room: &Room| PublishedCursor { members: room.joined_members, room_id: room.room_id.clone() };
    let (mut found, mut looked_at, mut more) = (Vec::new(), 0, true);
    while more && found.len() <= limit && looked_at < MAX_LOOKED_AT {
        let batch = if backwards {
            rooms::published_after(tx, &cursor, BATCH)?
        } else {
            rooms::published(tx, &cursor, BATCH)?
        };
        more = batch.len() == usize::try_from(BATCH).unwrap_or(0);
        looked_at += batch.len();
        if let Some(last) = batch.last() {
            cursor = at(last);
        }
        found.extend(batch.into_iter().filter(|room| has_term(room) && is_of_type(room)));
    }
    let beyond = found.len() > limit;
    found.truncate(limit);
    if backwards {
        found.reverse();
    }
    let (first, last) = (found.first().map(at), found.last().map(at));
    Ok(PublicRooms {
        chunk: found.iter().map(PublicRoom::from).collect(),
        next: last.filter(|_| beyond || backwards),
        prev: first.filter(|_| if backwards { beyond } else { wanted.since.is_some() }),
        total: rooms::count_published(tx)?,
    })
}
