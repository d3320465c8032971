//! Changes of devices for end-to-end encryption, and the remaining keys of the own device.

use std::collections::{BTreeMap, BTreeSet};

use reeve_accounts::keys;
use reeve_db::{DbError, ReadTx};
use reeve_model::{Membership, Pos, RoomNum, Token, UserNum};
use reeve_rooms::position::Positions;
use reeve_rooms::view::Viewer;
use reeve_store::device_changes;
use reeve_store::{cross_signing, departures, keys as rows, memberships, stream};
use serde::Serialize;

/// Users whose devices or keys changed or who came to share a room with the user, and users who share none any more.
#[derive(Debug, Default, Serialize)]
pub struct DeviceLists {
    changed: BTreeSet<String>,
    left: BTreeSet<String>,
}

/// A room that the user has joined.
pub(crate) struct Room {
    /// Its number.
    pub(crate) num: RoomNum,
    /// The position of the join.
    pub(crate) since_pos: Pos,
    /// The position of its newest event.
    pub(crate) last_pos: Pos,
}

impl DeviceLists {
    /// Returns the changes since a position, for a user with an account number; all of them, if the position was undone
    /// by restoring a backup.
    pub fn since(tx: &ReadTx<'_>, user_id: &str, user_num: UserNum, since: &Token) -> Result<Self, DbError> {
        let since = if Positions::of(tx)?.knows(tx, since)? { since.pos } else { Pos::ZERO };
        let joined = memberships::of_user_in(tx, user_id, Membership::Join)?;
        let rooms = joined.iter().map(|room| Room {
            num: room.member.room_num,
            since_pos: room.member.since_pos,
            last_pos: room.last_pos,
        });
        Self::between(tx, user_id, user_num, since, stream::current(tx)?, rooms)
    }

    /// Returns the changes in `(since, upto]`, for a user who is in these rooms now.
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
            let is_new = room.since_pos > since;
            let from = if is_new { Pos::ZERO } else { since };
            lists.changed.extend(device_changes::joined_since(tx, room.num, from)?);
            // A user who never shared a room cannot have left one.
            if !is_new || device_changes::was_there(tx, user_id, room.num, since)? {
                lists.left.extend(device_changes::left_since(tx, user_id, room.num, since)?);
            }
        }
        for room in memberships::changed_of_user(tx, user_id, since)? {
            let room_num = room.member.room_num;
            if room.member.membership != Membership::Join
                && device_changes::was_there(tx, user_id, room_num, since)?
            {
                lists.left.extend(device_changes::left_behind(tx, user_id, room_num, since)?);
                lists.left.extend(device_changes::left_since(tx, user_id, room_num, since)?);
            }
        }
        for left in departures::of_user(tx, user_id, since)? {
            lists.left.extend(device_changes::departed(tx, user_id, &left.room_id, since)?);
        }
        // The user is not among the changed ones for a shared room.
        lists.changed.remove(user_id);
        lists.changed.extend(device_changes::changed(tx, user_id, since, upto)?);
        lists.changed.extend(cross_signing::signed_by(tx, user_num, since, upto)?);
        lists.changed.retain(|user_id| !lists.left.contains(user_id));
        Ok(lists)
    }

    /// Returns true if nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// The one-time and fallback keys of a device that were not claimed.
#[derive(Debug, Serialize)]
pub struct KeysLeft {
    device_one_time_keys_count: BTreeMap<String, i64>,
    device_unused_fallback_key_types: Vec<String>,
}

impl KeysLeft {
    /// Returns those of the viewer's device.
    pub fn of(tx: &ReadTx<'_>, viewer: &Viewer) -> Result<Self, DbError> {
        Ok(Self {
            device_one_time_keys_count: keys::counts(tx, viewer.user_num, &viewer.device_id)?,
            device_unused_fallback_key_types: rows::unused_fallback(tx, viewer.user_num, &viewer.device_id)?,
        })
    }
}
