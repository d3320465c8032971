//! Rooms, their aliases, and blocked rooms.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, Pos, RoomNum, UserNum};

use crate::lists::rooms as room_list;
pub use crate::room::{Room, shown};
use crate::room::{columns, from_row};

reeve_db::statements! {
    FIND = concat!("SELECT ", columns!(), " FROM rooms WHERE room_id = $1");
    BY_NUM = concat!("SELECT ", columns!(), " FROM rooms WHERE num = $1");
    NUM = "SELECT num FROM rooms WHERE room_id = $1";
    INSERT = "INSERT INTO rooms (room_id, version, creator, created_ts, last_event_id, depth, last_pos, published, \
              federatable, joined_members, invited_members, state_events) \
              VALUES ($1, $2, $3, $4, '', 0, 0, 0, $5, 0, 0, 0) RETURNING num";
    UPDATE = "UPDATE rooms SET last_event_id = $2, depth = $3, last_pos = $4, published = $5, name = $6, \
              canonical_alias = $7, topic = $8, avatar_url = $9, room_type = $10, encryption = $11, join_rule = $12, \
              guest_access = $13, history_visibility = $14, federatable = $15, joined_members = $16, \
              invited_members = $17, state_events = $18 WHERE num = $1";
    SET_PURGED = "UPDATE rooms SET purged_pos = $2 WHERE num = $1 AND purged_pos < $2";
    ADVANCE = "UPDATE rooms SET last_event_id = $2, depth = $3, last_pos = $4 WHERE num = $1";
    DELETE = "DELETE FROM rooms WHERE num = $1";
    PUBLISHED = concat!("SELECT ", columns!(), " FROM rooms WHERE published = 1 AND joined_members > 0 \
                AND (joined_members, room_id) < ($1, $2) ORDER BY joined_members DESC, room_id DESC LIMIT $3");
    PUBLISHED_AFTER = concat!("SELECT ", columns!(), " FROM rooms WHERE published = 1 AND joined_members > 0 \
                AND (joined_members, room_id) > ($1, $2) ORDER BY joined_members, room_id LIMIT $3");
    LARGEST = "SELECT num, room_id FROM rooms ORDER BY depth DESC, room_id LIMIT $1";
    COUNT_PUBLISHED = "SELECT count(*) FROM rooms WHERE published = 1 AND joined_members > 0";
    ALIAS = "SELECT a.alias, r.room_id, a.creator FROM room_aliases a JOIN rooms r ON r.num = a.room_num WHERE a.alias = $1";
    ALIASES = "SELECT alias FROM room_aliases WHERE room_num = $1 ORDER BY created_ts, alias";
    COUNT_ALIASES = "SELECT count(*) FROM (SELECT 1 FROM room_aliases WHERE room_num = $1 LIMIT $2) few";
    ALIASES_BY = "SELECT a.alias, r.room_id, a.creator FROM room_aliases a JOIN rooms r ON r.num = a.room_num \
                  WHERE a.creator = $1 ORDER BY a.alias LIMIT $2";
    COUNT_ALIASES_BY = "SELECT count(*) FROM (SELECT 1 FROM room_aliases WHERE creator = $1 LIMIT $2) few";
    INSERT_ALIAS = "INSERT INTO room_aliases (alias, room_num, creator, created_ts) VALUES ($1, $2, $3, $4)";
    DELETE_ALIAS = "DELETE FROM room_aliases WHERE alias = $1";
    DELETE_ALIASES = "DELETE FROM room_aliases WHERE room_num = $1";
    MOVE_ALIASES = "UPDATE room_aliases SET room_num = $2 WHERE room_num = $1";
    BLOCKED = "SELECT user_id FROM blocked_rooms WHERE room_id = $1";
    BLOCK = "INSERT INTO blocked_rooms (room_id, user_id, created_ts) VALUES ($1, $2, $3) \
             ON CONFLICT (room_id) DO NOTHING";
    UNBLOCK = "DELETE FROM blocked_rooms WHERE room_id = $1";
    UNBLOCK_SINCE = "DELETE FROM blocked_rooms WHERE room_id = $1 AND created_ts = $2";
    NOTICE_ROOM = "SELECT room_num FROM notice_rooms WHERE user_num = $1";
    SET_NOTICE_ROOM = "INSERT INTO notice_rooms (user_num, room_num) VALUES ($1, $2) \
                       ON CONFLICT (user_num) DO UPDATE SET room_num = excluded.room_num";
}

/// Returns the room with an id.
pub fn find(tx: &ReadTx<'_>, room_id: &str) -> Result<Option<Room>, DbError> {
    tx.query_opt(&FIND, &params![room_id], from_row)
}

/// Returns the room with a number.
pub fn by_num(tx: &ReadTx<'_>, num: RoomNum) -> Result<Option<Room>, DbError> {
    tx.query_opt(&BY_NUM, &params![num], from_row)
}

/// Returns the number of the room with an id.
pub fn num(tx: &ReadTx<'_>, room_id: &str) -> Result<Option<RoomNum>, DbError> {
    tx.query_opt(&NUM, &params![room_id], |row| row.get(0))
}

/// Creates an empty room and returns its number.
pub fn insert(tx: &mut Tx<'_>, room: &Room) -> Result<RoomNum, DbError> {
    let num = tx
        .returning(
            &INSERT,
            &params![&room.room_id, &room.version, &room.creator, room.created_ts, room.federatable],
            |row| row.get(0),
        )?
        .pop()
        .ok_or(DbError::NoRow)?;
    room_list::appeared(tx)?;
    Ok(num)
}

/// Stores the changes from `before` to `after`. The id and other fixed values are not stored again.
pub fn update(tx: &mut Tx<'_>, before: &Room, after: &Room) -> Result<(), DbError> {
    if before == after {
        return Ok(());
    }
    let advanced = Room {
        last_event_id: after.last_event_id.clone(),
        depth: after.depth,
        last_pos: after.last_pos,
        ..before.clone()
    };
    if advanced == *after {
        // Most events are messages, which change only the end of the room: no index of a list is written.
        tx.execute(&ADVANCE, &params![after.num, &after.last_event_id, after.depth, after.last_pos])?;
        return Ok(());
    }
    tx.execute(
        &UPDATE,
        &params![
            after.num,
            &after.last_event_id,
            after.depth,
            after.last_pos,
            after.published,
            &after.name,
            &after.canonical_alias,
            &after.topic,
            &after.avatar_url,
            &after.room_type,
            &after.encryption,
            &after.join_rule,
            &after.guest_access,
            &after.history_visibility,
            after.federatable,
            after.joined_members,
            after.invited_members,
            after.state_events
        ],
    )?;
    room_list::changed(tx, before, after)
}

/// Sets the position before which events were purged.
pub fn set_purged(tx: &mut Tx<'_>, num: RoomNum, pos: Pos) -> Result<(), DbError> {
    tx.execute(&SET_PURGED, &params![num, pos])?;
    Ok(())
}

/// Deletes a room, as it was read in this transaction.
pub fn delete(tx: &mut Tx<'_>, room: &Room) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![room.num])?;
    room_list::vanished(tx, room)
}

/// A place in the list of published rooms, which is ordered by number of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedCursor {
    /// The number of members of a room.
    pub members: i64,
    /// Its id.
    pub room_id: String,
}

/// Returns published rooms that are not empty and come before a cursor, the largest first.
pub fn published(tx: &ReadTx<'_>, cursor: &PublishedCursor, limit: i64) -> Result<Vec<Room>, DbError> {
    tx.query(&PUBLISHED, &params![cursor.members, &cursor.room_id, limit], from_row)
}

/// Returns published rooms that are not empty and come after a cursor, the smallest first.
pub fn published_after(tx: &ReadTx<'_>, cursor: &PublishedCursor, limit: i64) -> Result<Vec<Room>, DbError> {
    tx.query(&PUBLISHED_AFTER, &params![cursor.members, &cursor.room_id, limit], from_row)
}

/// Returns the number and id of the rooms with the longest history.
pub fn largest(tx: &ReadTx<'_>, limit: i64) -> Result<Vec<(RoomNum, String)>, DbError> {
    tx.query(&LARGEST, &params![limit], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns the number of published rooms.
pub fn count_published(tx: &ReadTx<'_>) -> Result<i64, DbError> {
    tx.query_one(&COUNT_PUBLISHED, &params![], |row| row.get(0))
}

/// An alias and its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The alias.
    pub alias: String,
    /// The id of the room.
    pub room_id: String,
    /// The creator of the alias.
    pub creator: String,
}

/// Returns an alias, if it exists.
pub fn alias(tx: &ReadTx<'_>, alias: &str) -> Result<Option<Alias>, DbError> {
    tx.query_opt(&ALIAS, &params![alias], |row| {
        Ok(Alias { alias: row.get(0)?, room_id: row.get(1)?, creator: row.get(2)? })
    })
}

/// Returns the aliases of a room, the oldest first.
pub fn aliases(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<Vec<String>, DbError> {
    tx.query(&ALIASES, &params![room_num], |row| row.get(0))
}

/// Returns the number of aliases of a room, counted up to `most`.
pub fn count_aliases(tx: &ReadTx<'_>, room_num: RoomNum, most: i64) -> Result<i64, DbError> {
    tx.query_one(&COUNT_ALIASES, &params![room_num, most], |row| row.get(0))
}

/// Returns the number of aliases that an account created, counted up to `most`.
pub fn count_aliases_by(tx: &ReadTx<'_>, creator: &str, most: i64) -> Result<i64, DbError> {
    tx.query_one(&COUNT_ALIASES_BY, &params![creator, most], |row| row.get(0))
}

/// Returns up to `most` aliases that an account created, in their order.
pub fn aliases_by(tx: &ReadTx<'_>, creator: &str, most: i64) -> Result<Vec<Alias>, DbError> {
    tx.query(&ALIASES_BY, &params![creator, most], |row| {
        Ok(Alias { alias: row.get(0)?, room_id: row.get(1)?, creator: row.get(2)? })
    })
}

/// Adds a free alias to a room.
pub fn insert_alias(
    tx: &mut Tx<'_>,
    alias: &str,
    room_num: RoomNum,
    creator: &str,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT_ALIAS, &params![alias, room_num, creator, now])?;
    Ok(())
}

/// Deletes an alias.
pub fn delete_alias(tx: &mut Tx<'_>, alias: &str) -> Result<(), DbError> {
    tx.execute(&DELETE_ALIAS, &params![alias])?;
    Ok(())
}

/// Deletes all aliases of a room.
pub fn delete_aliases(tx: &mut Tx<'_>, room_num: RoomNum) -> Result<(), DbError> {
    tx.execute(&DELETE_ALIASES, &params![room_num])?;
    Ok(())
}

/// Moves all aliases of a room to another one.
pub fn move_aliases(tx: &mut Tx<'_>, from: RoomNum, to: RoomNum) -> Result<(), DbError> {
    tx.execute(&MOVE_ALIASES, &params![from, to])?;
    Ok(())
}

/// Returns the user who blocked a room; `None` if it is not blocked.
pub fn blocked_by(tx: &ReadTx<'_>, room_id: &str) -> Result<Option<String>, DbError> {
    tx.query_opt(&BLOCKED, &params![room_id], |row| row.get(0))
}

/// Blocks a room; the user who blocked it first is kept.
pub fn block(tx: &mut Tx<'_>, room_id: &str, user_id: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&BLOCK, &params![room_id, user_id, now])?;
    Ok(())
}

/// Unblocks a room.
pub fn unblock(tx: &mut Tx<'_>, room_id: &str) -> Result<(), DbError> {
    tx.execute(&UNBLOCK, &params![room_id])?;
    Ok(())
}

/// Unblocks a room that was blocked at a time; returns false if it is not blocked, or since another time.
pub fn unblock_since(tx: &mut Tx<'_>, room_id: &str, since: Millis) -> Result<bool, DbError> {
    Ok(tx.execute(&UNBLOCK_SINCE, &params![room_id, since])? > 0)
}

/// Returns the number of the room in which an account gets server notices.
pub fn notice_room(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Option<RoomNum>, DbError> {
    tx.query_opt(&NOTICE_ROOM, &params![user_num], |row| row.get(0))
}

/// Stores the room in which an account gets server notices.
pub fn set_notice_room(tx: &mut Tx<'_>, user_num: UserNum, room_num: RoomNum) -> Result<(), DbError> {
    tx.execute(&SET_NOTICE_ROOM, &params![user_num, room_num])?;
    Ok(())
}
