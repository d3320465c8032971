//! Simplified sliding sync: the newest rooms first, and of each what the client asks for.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/4186>
//!
//! Positions name what the client knows: a version of a connection, which says how far it knows each room, and a
//! position in the stream, up to which it knows everything else.

mod answer;
mod connection;
mod extensions;
mod lists;
mod request;
mod room;
mod wanted;

use std::collections::{BTreeMap, HashMap, HashSet};

use reeve_db::ReadTx;
use reeve_model::{Epoch, Membership, Millis, Pos, RoomNum, SlidingToken};
use reeve_rooms::error::Error;
use reeve_rooms::membership;
use reeve_rooms::view::{View, Viewer};
use reeve_store::sliding::{Key, Known, Standing};
use reeve_store::{departures, ephemeral, stream};
use serde::Serialize;

pub use connection::{Kept, keep, prune};
pub use request::Request;

use crate::devices::KeysLeft;

use answer::Room;
use connection::{Changes, Connection};
use extensions::Extensions;

/// The maximum numbers of rooms and of events in one response. The rest follows with the next.
const MAX_ROOMS: usize = 200;
const MAX_EVENTS: usize = 10_000;

/// One list in a response.
#[derive(Debug, Serialize)]
struct List {
    count: usize,
}

/// A response without its position.
#[derive(Debug, Serialize)]
pub struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    txn_id: Option<String>,
    lists: BTreeMap<String, List>,
    rooms: BTreeMap<String, Room>,
    extensions: Extensions,
}

impl Response {
    /// Returns true if there is nothing new.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.extensions.is_empty()
    }

    /// The remaining keys of the device, if the request asks for them.
    pub fn keys(&mut self) -> Option<&mut KeysLeft> {
        self.extensions.keys()
    }
}

/// A response, the client's knowledge after it, and the rooms to watch until there is another.
#[derive(Debug)]
pub struct Look {
    /// The response.
    pub response: Response,
    /// The position up to which it is complete.
    pub upto: Pos,
    /// The epoch in which that position is given out.
    epoch: Option<Epoch>,
    /// The rooms that the user has joined.
    pub rooms: Vec<RoomNum>,
    /// The position up to which the request acknowledges to-device messages, if there are any.
    pub acknowledged: Option<Pos>,
    connection: Connection,
    changes: Changes,
}

/// One look at the database for a request.
struct Sync<'v, 't, 'c> {
    view: &'v View<'t, 'c>,
    viewer: &'v Viewer,
    request: &'v Request,
    connection: &'v Connection,
    /// The position up to which the client knows everything except rooms; `None` if it knows nothing.
    since: Option<Pos>,
    upto: Pos,
    now: Millis,
    direct: HashSet<String>,
    takes_invites: bool,
    own_receipts: HashSet<RoomNum>,
}

/// Looks for what is new to a client; `None` if its position is unknown, or was undone by restoring a backup.
pub fn look(
    tx: &ReadTx<'_>,
    viewer: &Viewer,
    request: &Request,
    pos: Option<&SlidingToken>,
    now: Millis,
) -> Result<Option<Look>, Error> {
    let key = Key {
        user_num: viewer.user_num,
        device_id: viewer.device_id.clone(),
        conn_id: request.conn_id.clone(),
    };
    let view = View::of(tx, viewer.clone(), now)?;
    if let Some(pos) = pos
        && !view.knows(&pos.place())?
    {
        return Ok(None);
    }
    let Some(connection) = Connection::open(tx, key, pos)? else { return Ok(None) };
    let upto = stream::current(tx)?;
    let since = pos.map(|pos| pos.upto.min(upto));
    let standings = reeve_store::sliding::standings(tx, &viewer.user_id)?;
    let own_receipts = match since {
        Some(since) if since < upto => ephemeral::rooms_with_own_receipts(tx, &viewer.user_id, since)?,
        Some(_) | None => Vec::new(),
    };
    let sync = Sync {
        view: &view,
        viewer,
        request,
        connection: &connection,
        since,
        upto,
        now,
        direct: lists::direct(tx, viewer.user_num)?,
        takes_invites: !membership::blocks_invites(tx, viewer.user_num)?,
        own_receipts: own_receipts.into_iter().collect(),
    };
    let found = lists::find(tx, &sync, &standings)?;
    let mut changes = Changes::of(&connection);
    let (mut rooms, mut sent) = (BTreeMap::new(), HashMap::new());
    let mut left = MAX_EVENTS;
    for eligible in &found.eligible {
        if rooms.len() == MAX_ROOMS || left == 0 {
            break;
        }
        let Some(answer) = sync.room(tx, eligible, &mut changes)? else { continue };
        left = left.saturating_sub(answer.room.size());
        sent.insert(eligible.standing.room_num, answer.sent);
        rooms.insert(eligible.standing.room_id.clone(), answer.room);
    }
    if let Some(since) = since {
        // Of a deleted room nothing is left except that the user was made to leave it.
        for departure in departures::of_user(tx, &viewer.user_id, since)? {
            rooms.insert(departure.room_id.clone(), Room::departed(&departure)?);
        }
    }
    let (extensions, acknowledged) = sync.extensions(tx, &standings, &found.eligible, &sent)?;
    let listened = standings.iter().filter(|standing| standing.membership == Membership::Join);
    let listened = listened.map(|standing| standing.room_num).collect();
    let lists = found.counts.into_iter().map(|(name, count)| (name, List { count })).collect();
    let response = Response { txn_id: request.txn_id.clone(), lists, rooms, extensions };
    let epoch = view.positions()?.epoch();
    Ok(Some(Look { response, upto, epoch, rooms: listened, acknowledged, connection, changes }))
}

impl Sync<'_, '_, '_> {
    fn own(&self) -> &str {
        &self.viewer.user_id
    }

    /// Returns the client's knowledge of a room.
    fn known(&self, standing: &Standing) -> Option<&Known> {
        self.connection.rooms.get(&standing.room_num)
    }
}
