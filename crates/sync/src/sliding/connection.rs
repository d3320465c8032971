//! The client's knowledge of rooms in a connection of sliding sync, and its storage.
//!
//! A response may be lost on its way. So the knowledge before a response is kept until a request comes from the
//! position that the response gave.

use std::collections::{HashMap, HashSet};

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Epoch, Millis, Pos, RoomNum, SlidingToken};
use reeve_rooms::error::Error;
use reeve_store::sliding::{self, Key, Known};

use super::Look;
use super::wanted::Wanted;

/// The maximum number of connections of one device.
const MAX_CONNECTIONS: usize = 20;
/// The maximum number of kinds of state that the rooms of a connection refer to, and their maximum length as JSON.
const MAX_WANTED: usize = 200;
const MAX_WANTED_BYTES: usize = 512 * 1024;
/// The interval at which a connection in use without changes is marked as used.
const MARK_EVERY_MS: i64 = 60 * 60 * 1000;
/// The age at which an unused connection is deleted, and the number deleted at once.
const UNUSED_MS: i64 = 30 * 24 * 60 * 60 * 1000;
const FORGOTTEN_AT_ONCE: i64 = 50;
/// The maximum number of membership events of a room that are stored as known to the client.
const MAX_MEMBERS: usize = 300;

/// A connection as a request finds it.
#[derive(Debug)]
pub(crate) struct Connection {
    key: Key,
    /// As stored; `None` if the request begins it.
    stored: Option<sliding::Connection>,
    /// The position from which the request continues.
    pos: Option<SlidingToken>,
    /// The client's knowledge of rooms, by their numbers.
    pub(crate) rooms: HashMap<RoomNum, Known>,
    /// Rooms of which older versions are stored, too.
    outdated: HashSet<RoomNum>,
    pub(crate) wanted: Vec<Wanted>,
}

impl Connection {
    /// Finds the connection of a request; `None` if it does not know the position.
    pub(crate) fn open(tx: &ReadTx<'_>, key: Key, pos: Option<&SlidingToken>) -> Result<Option<Self>, Error> {
        let (rooms, outdated) = (HashMap::new(), HashSet::new());
        let Some(pos) = pos else {
            let (stored, pos, wanted) = (None, None, Vec::new());
            return Ok(Some(Self { key, stored, pos, rooms, outdated, wanted }));
        };
        let knows = |stored: &sliding::Connection| {
            stored.num == pos.connection && [stored.base, stored.version].contains(&pos.version)
        };
        let Some(stored) = sliding::find(tx, &key)?.filter(knows) else { return Ok(None) };
        let wanted: Vec<Wanted> = serde_json::from_str(&stored.wanted).map_err(Error::internal)?;
        if wanted.len() > MAX_WANTED || stored.wanted.len() > MAX_WANTED_BYTES {
            // A new connection costs less than this one.
            return Ok(None);
        }
        let mut opened = Self { key, stored: None, pos: Some(pos.clone()), rooms, outdated, wanted };
        for known in sliding::rooms(tx, stored.num, pos.version)? {
            let room_num = known.room_num;
            if opened.rooms.insert(room_num, known).is_some() {
                opened.outdated.insert(room_num);
            }
        }
        opened.stored = Some(stored);
        Ok(Some(opened))
    }

    /// The state that the client knows of a room.
    pub(crate) fn wanted_of(&self, known: &Known) -> Wanted {
        let index = usize::try_from(known.wanted).ok();
        index.and_then(|index| self.wanted.get(index)).cloned().unwrap_or_default()
    }

    /// The positions of the membership events that the client knows of a room.
    pub(crate) fn members_of(&self, tx: &ReadTx<'_>, known: &Known) -> Result<Vec<Pos>, Error> {
        let Some(stored) = &self.stored else { return Ok(Vec::new()) };
        let members = sliding::members(tx, stored.num, known)?;
        Ok(members.split(',').filter_map(|pos| pos.parse().ok().map(Pos::new)).collect())
    }
}

/// The client's knowledge of one room after a response.
#[derive(Clone, Debug)]
struct RoomChange {
    known: Known,
    members: String,
    had_older: bool,
    base: i64,
}

/// The changes of the client's knowledge by a response.
#[derive(Debug)]
pub(crate) struct Changes {
    rooms: Vec<RoomChange>,
    wanted: Vec<Wanted>,
    new_wanted: bool,
}

impl Changes {
    /// No changes yet.
    pub(crate) fn of(connection: &Connection) -> Self {
        Self { rooms: Vec::new(), wanted: connection.wanted.clone(), new_wanted: false }
    }

    /// Returns the index of a kind of state, which it adds if it is new.
    fn index(&mut self, wanted: Wanted) -> i64 {
        let index = self.wanted.iter().position(|other| *other == wanted).unwrap_or_else(|| {
            self.new_wanted = true;
            self.wanted.push(wanted);
            self.wanted.len() - 1
        });
        i64::try_from(index).unwrap_or(i64::MAX)
    }

    /// Records the client's knowledge of a room from now on. Its version and kind of state are filled in here.
    pub(crate) fn record(
        &mut self,
        connection: &Connection,
        mut known: Known,
        wanted: Wanted,
        mut members: Vec<Pos>,
    ) {
        known.wanted = self.index(wanted);
        let older = connection.rooms.get(&known.room_num);
        if older.is_some_and(|older| Known { version: known.version, ..older.clone() } == known) {
            return;
        }
        members.sort_unstable();
        members.dedup();
        let surplus = members.len().saturating_sub(MAX_MEMBERS);
        let members: Vec<String> = members.iter().skip(surplus).map(ToString::to_string).collect();
        let had_older = connection.outdated.contains(&known.room_num);
        let base = older.map_or(0, |older| older.version);
        self.rooms.push(RoomChange { known, members: members.join(","), had_older, base });
    }
}

/// The outcome of [`keep`].
#[derive(Debug)]
pub enum Kept {
    /// The response can be sent, with this position.
    At(SlidingToken),
    /// Another request of the connection was answered meanwhile: the response has to be made again.
    Again,
    /// A later request of the connection was answered, so that nobody waits for this one; or the connection was
    /// deleted.
    Late,
}

/// Stores the client's knowledge after a response to a request that came at a time.
pub fn keep(tx: &mut Tx<'_>, look: &Look, came: Millis) -> Result<Kept, Error> {
    let Look { connection, changes, upto, epoch, .. } = look;
    let (Some(seen), Some(pos)) = (&connection.stored, &connection.pos) else {
        return begin(tx, look, came);
    };
    let Some(mut stored) = sliding::find(tx, &connection.key)?.filter(|stored| stored.num == seen.num) else {
        return Ok(Kept::Late);
    };
    if (stored.base, stored.version) != (seen.base, seen.version) {
        return Ok(if stored.used_ts > came { Kept::Late } else { Kept::Again });
    }
    if changes.rooms.is_empty() && !changes.new_wanted {
        if came.since(stored.used_ts) > MARK_EVERY_MS {
            stored.used_ts = came;
            sliding::advance(tx, &stored)?;
        }
        return Ok(Kept::At(still(pos, *upto, epoch.clone())));
    }
    if stored.version > pos.version {
        // The response that led to that version was not received.
        sliding::delete_rooms_after(tx, stored.num, pos.version)?;
    }
    stored.base = pos.version;
    stored.version += 1;
    stored.used_ts = stored.used_ts.max(came);
    if changes.new_wanted {
        stored.wanted = serde_json::to_string(&changes.wanted).map_err(Error::internal)?;
    }
    sliding::advance(tx, &stored)?;
    put_rooms(tx, &stored, changes)?;
    Ok(Kept::At(look.token(stored.num, stored.version)))
}

/// Returns the position of a response that changes nothing stored.
fn still(pos: &SlidingToken, upto: Pos, epoch: Option<Epoch>) -> SlidingToken {
    SlidingToken { upto, epoch, round: pos.round.wrapping_add(1).max(0), ..pos.clone() }
}

impl Look {
    /// Returns the position of the response, if nothing needs to be stored for it.
    pub fn unchanged(&self, came: Millis) -> Option<SlidingToken> {
        let stored = self.connection.stored.as_ref()?;
        let pos = self.connection.pos.as_ref()?;
        let changed = !self.changes.rooms.is_empty() || self.changes.new_wanted;
        (!changed && came.since(stored.used_ts) <= MARK_EVERY_MS)
            .then(|| still(pos, self.upto, self.epoch.clone()))
    }

    /// Returns a position without a connection, for a request that begins one when another request has begun one in its
    /// place; `None` if the request continues a connection.
    pub fn replaced(&self) -> Option<SlidingToken> {
        self.connection.pos.is_none().then(|| self.token(0, 0))
    }

    /// Returns the position of a response that leads to a version of a connection.
    fn token(&self, connection: i64, version: i64) -> SlidingToken {
        SlidingToken { connection, version, upto: self.upto, round: 0, epoch: self.epoch.clone() }
    }
}

/// Begins a connection in place of the one with the same name, and of the least recently used ones beyond the limit.
fn begin(tx: &mut Tx<'_>, look: &Look, came: Millis) -> Result<Kept, Error> {
    let Look { connection: Connection { key, .. }, changes, .. } = look;
    if let Some(before) = sliding::find(tx, key)? {
        if before.used_ts > came {
            return Ok(Kept::Late);
        }
        sliding::delete(tx, before.num)?;
    }
    for num in sliding::of_device(tx, key.user_num, &key.device_id)?.into_iter().skip(MAX_CONNECTIONS - 1) {
        sliding::delete(tx, num)?;
    }
    let wanted = serde_json::to_string(&changes.wanted).map_err(Error::internal)?;
    let num = sliding::insert(tx, key, came, &wanted)?;
    let stored = sliding::Connection { num, base: 0, version: 1, used_ts: came, wanted };
    put_rooms(tx, &stored, changes)?;
    Ok(Kept::At(look.token(num, stored.version)))
}

fn put_rooms(tx: &mut Tx<'_>, stored: &sliding::Connection, changes: &Changes) -> Result<(), Error> {
    for room in &changes.rooms {
        if room.had_older {
            sliding::delete_room_before(tx, stored.num, room.known.room_num, room.base)?;
        }
        let known = Known { version: stored.version, ..room.known.clone() };
        sliding::put_room(tx, stored.num, &known, &room.members)?;
    }
    Ok(())
}

/// Deletes some of the connections that were not used for long; returns false if there were none.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<bool, DbError> {
    let unused = sliding::unused(tx, now.minus(UNUSED_MS), FORGOTTEN_AT_ONCE)?;
    for num in &unused {
        sliding::delete(tx, *num)?;
    }
    Ok(!unused.is_empty())
}
