//! What encryption needs to know about devices: whose changed, and which keys of the own device are left.

use std::collections::{BTreeMap, BTreeSet};

use reeve_accounts::keys;
use reeve_db::{DbError, ReadTx};
use reeve_model::{Membership, Pos, RoomNum, Token, UserNum};
use reeve_rooms::position::Positions;
use reeve_rooms::view::Viewer;
use reeve_store::device_changes;
use reeve_store::{cross_signing, departures, keys as rows, memberships, stream};
use serde::Serialize;

/// Whose devices or keys changed, or who came to share a room with somebody; and who shares none any more.
#[derive(Debug, Default, Serialize)]
pub struct DeviceLists {
    changed: BTreeSet<String>,
    left: BTreeSet<String>,
}

/// A room that somebody has joined.
pub(crate) struct Room {
    /// Its number.
    pub(crate) num: RoomNum,
    /// Where in the stream they came.
    pub(crate) came: Pos,
    /// Where its newest event is.
    pub(crate) last_pos: Pos,
}

impl DeviceLists {
    /// What changed since a position, for a user with an account number; everything, if the position was undone by
    /// restoring a backup.
    pub fn since(tx: &ReadTx<'_>, user_id: &str, user_num: UserNum, since: &Token) -> Result<Self, DbError> {
        let since = if Positions::of(tx)?.knows(tx, since)? { since.pos } else { Pos::ZERO };
        let joined = memberships::of_user_in(tx, user_id, Membership::Join)?;
        let rooms = joined.iter().map(|room| Room {
            num: room.member.room_num,
            came: room.member.since_pos,
            last_pos: room.last_pos,
        });
        Self::between(tx, user_id, user_num, since, stream::current(tx)?, rooms)
    }

    /// What changed in `(since, upto]`, for somebody who is in these rooms now.
    pub(crate) fn between(
        tx: &ReadTx<'_>,
        user_id: &str,
        user_num: UserNum,
        since: Pos,
        upto: Pos,
        rooms: impl Iterator<Item = Room>,
    ) -> Result<Self, DbError> {
        let mut lists = Self::default();
        if upto <= since {
            return Ok(lists);
        }
        for room in rooms.filter(|room| room.last_pos > since) {
            let is_new = room.came > since;
            let from = if is_new { Pos::ZERO } else { since };
            lists.changed.extend(device_changes::came(tx, room.num, from)?);
            // Whom one never met cannot have left.
            if !is_new || device_changes::was_there(tx, user_id, room.num, since)? {
                lists.left.extend(device_changes::went(tx, user_id, room.num, since)?);
            }
        }
        for room in memberships::changed_of_user(tx, user_id, since)? {
            let room_num = room.member.room_num;
            if room.member.membership != Membership::Join
                && device_changes::was_there(tx, user_id, room_num, since)?
            {
                lists.left.extend(device_changes::left_behind(tx, user_id, room_num, since)?);
                lists.left.extend(device_changes::went(tx, user_id, room_num, since)?);
            }
        }
        for left in departures::of_user(tx, user_id, since)? {
            lists.left.extend(device_changes::departed(tx, user_id, &left.room_id, since)?);
        }
        // Nobody meets themself.
        lists.changed.remove(user_id);
        lists.changed.extend(device_changes::changed(tx, user_id, since, upto)?);
        lists.changed.extend(cross_signing::signed_by(tx, user_num, since, upto)?);
        lists.changed.retain(|user_id| !lists.left.contains(user_id));
        Ok(lists)
    }

    /// Whether nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// Which keys of a device are left to be given out.
#[derive(Debug, Serialize)]
pub struct KeysLeft {
    device_one_time_keys_count: BTreeMap<String, i64>,
    device_unused_fallback_key_types: Vec<String>,
}

impl KeysLeft {
    /// Those of the device that looks.
    pub fn of(tx: &ReadTx<'_>, viewer: &Viewer) -> Result<Self, DbError> {
        Ok(Self {
            device_one_time_keys_count: keys::counts(tx, viewer.user_num, &viewer.device_id)?,
            device_unused_fallback_key_types: rows::unused_fallback(tx, viewer.user_num, &viewer.device_id)?,
        })
    }
}
