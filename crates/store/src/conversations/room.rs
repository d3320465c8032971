//! A room, as stored.

use reeve_db::{DbError, Row};
use reeve_model::{Millis, Pos, RoomNum};

/// The columns that [`from_row`] reads.
macro_rules! columns {
    () => {
        "num, room_id, version, creator, created_ts, last_event_id, depth, last_pos, published, name, canonical_alias, \
         topic, avatar_url, room_type, encryption, join_rule, guest_access, history_visibility, federatable, \
         joined_members, invited_members, state_events, purged_pos"
    };
}

pub(crate) use columns;

/// A room, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The number by which other tables refer to the room.
    pub num: RoomNum,
    /// Its id.
    pub room_id: String,
    /// Its version, such as `11`.
    pub version: String,
    /// The user who created it.
    pub creator: String,
    /// The time of its creation, in milliseconds.
    pub created_ts: Millis,
    /// Its newest event, which the next one follows.
    pub last_event_id: String,
    /// The depth of the newest event.
    pub depth: i64,
    /// The position of the newest event.
    pub last_pos: Pos,
    /// True if the public room directory shows it.
    pub published: bool,
    /// Its name.
    pub name: Option<String>,
    /// Its main alias.
    pub canonical_alias: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Its avatar.
    pub avatar_url: Option<String>,
    /// Its type, such as `m.space`.
    pub room_type: Option<String>,
    /// The algorithm with which it is encrypted.
    pub encryption: Option<String>,
    /// The join rule.
    pub join_rule: Option<String>,
    /// The guest access, such as `can_join`.
    pub guest_access: Option<String>,
    /// The history visibility.
    pub history_visibility: Option<String>,
    /// True if other servers may take part.
    pub federatable: bool,
    /// The number of joined members.
    pub joined_members: i64,
    /// The number of invited users.
    pub invited_members: i64,
    /// The number of present state events.
    pub state_events: i64,
    /// The position before which events were purged.
    pub purged_pos: Pos,
}

/// Returns a name, topic or avatar as clients show it: a blank one is none.
pub fn shown(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

pub(crate) fn from_row(row: &Row<'_>) -> Result<Room, DbError> {
    Ok(Room {
        num: row.get(0)?,
        room_id: row.get(1)?,
        version: row.get(2)?,
        creator: row.get(3)?,
        created_ts: row.get(4)?,
        last_event_id: row.get(5)?,
        depth: row.get(6)?,
        last_pos: row.get(7)?,
        published: row.get(8)?,
        name: row.get(9)?,
        canonical_alias: row.get(10)?,
        topic: row.get(11)?,
        avatar_url: row.get(12)?,
        room_type: row.get(13)?,
        encryption: row.get(14)?,
        join_rule: row.get(15)?,
        guest_access: row.get(16)?,
        history_visibility: row.get(17)?,
        federatable: row.get(18)?,
        joined_members: row.get(19)?,
        invited_members: row.get(20)?,
        state_events: row.get(21)?,
        purged_pos: row.get(22)?,
    })
}
