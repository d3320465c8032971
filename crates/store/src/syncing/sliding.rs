//! Connections of sliding sync with their clients' knowledge of rooms, and the rooms that a client's lists choose from.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Membership, Millis, Pos, RoomNum, UserNum};

reeve_db::statements! {
    STANDINGS = "SELECT m.room_num, m.membership, m.event_pos, m.since_pos, m.forgotten, r.room_id, r.last_pos, r.room_type, \
                 r.encryption, r.name, e.sender, CASE WHEN m.membership = 'join' THEN 1 \
                 WHEN m.membership IN ('leave', 'ban') THEN (SELECT count(*) FROM events j WHERE j.room_num = m.room_num \
                 AND j.event_type = 'm.room.member' AND j.state_key = m.user_id AND j.until_pos > 0 \
                 AND j.membership = 'join') ELSE 0 END \
                 FROM memberships m JOIN rooms r ON r.num = m.room_num \
                 LEFT JOIN events e ON m.membership <> 'join' AND e.pos = m.event_pos \
                 WHERE m.user_id = $1 ORDER BY m.room_num";
    FIND = "SELECT num, base, version, used_ts, wanted FROM sliding_connections \
            WHERE user_num = $1 AND device_id = $2 AND conn_id = $3";
    INSERT = "INSERT INTO sliding_connections (user_num, device_id, conn_id, base, version, used_ts, wanted) \
              VALUES ($1, $2, $3, 0, 1, $4, $5) RETURNING num";
    ADVANCE = "UPDATE sliding_connections SET base = $2, version = $3, used_ts = $4, wanted = $5 WHERE num = $1";
    OF_DEVICE = "SELECT num FROM sliding_connections WHERE user_num = $1 AND device_id = $2 ORDER BY used_ts DESC, num DESC";
    UNUSED = "SELECT num FROM sliding_connections WHERE used_ts < $1 ORDER BY used_ts LIMIT $2";
    DELETE = "DELETE FROM sliding_connections WHERE num = $1";
    ROOMS = "SELECT room_num, version, upto, timeline, wanted, is_dm FROM sliding_rooms \
             WHERE connection_num = $1 AND version <= $2 ORDER BY room_num, version";
    MEMBERS = "SELECT members FROM sliding_rooms WHERE connection_num = $1 AND room_num = $2 AND version = $3";
    PUT_ROOM = "INSERT INTO sliding_rooms (connection_num, room_num, version, upto, timeline, wanted, is_dm, members) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    DELETE_ROOM_BEFORE = "DELETE FROM sliding_rooms WHERE connection_num = $1 AND room_num = $2 AND version < $3";
    DELETE_ROOMS_AFTER = "DELETE FROM sliding_rooms WHERE connection_num = $1 AND version > $2";
}

/// The membership of a user in a room, with the values by which lists filter rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The number of the room.
    pub room_num: RoomNum,
    /// The membership.
    pub membership: Membership,
    /// The position of the newest membership event.
    pub event_pos: Pos,
    /// The position of the event with which this membership began.
    pub since_pos: Pos,
    /// True if the user forgot the room.
    pub forgotten: bool,
    /// The id of the room.
    pub room_id: String,
    /// The position of the newest event of the room.
    pub last_pos: Pos,
    /// The type of the room.
    pub room_type: Option<String>,
    /// The algorithm with which the room is encrypted.
    pub encryption: Option<String>,
    /// The name of the room.
    pub name: Option<String>,
    /// The sender of the newest membership event; `None` for joined rooms.
    pub sender: Option<String>,
    /// True if the user is in the room, or was before leaving.
    pub was_in: bool,
}

/// Returns the memberships of a user in all rooms where the user ever had one.
pub fn standings(tx: &ReadTx<'_>, user_id: &str) -> Result<Vec<Standing>, DbError> {
    tx.query(&STANDINGS, &params![user_id], |row| {
        let joins: i64 = row.get(11)?;
        Ok(Standing {
            room_num: row.get(0)?,
            membership: row.get(1)?,
            event_pos: row.get(2)?,
            since_pos: row.get(3)?,
            forgotten: row.get(4)?,
            room_id: row.get(5)?,
            last_pos: row.get(6)?,
            room_type: row.get(7)?,
            encryption: row.get(8)?,
            name: row.get(9)?,
            sender: row.get(10)?,
            was_in: joins > 0,
        })
    })
}

/// The key of a connection. Each device chooses its own ids.
#[derive(Clone, Debug)]
pub struct Key {
    /// The account.
    pub user_num: UserNum,
    /// The device, or a substitute for a session without device.
    pub device_id: String,
    /// The id that the client chose.
    pub conn_id: String,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its number, which no other connection ever had.
    pub num: i64,
    /// The version before the newest one.
    pub base: i64,
    /// The newest version.
    pub version: i64,
    /// The time of the last request that was answered.
    pub used_ts: Millis,
    /// The kinds of state that its rooms refer to, as JSON.
    pub wanted: String,
}

/// Returns the connection with this key.
pub fn find(tx: &ReadTx<'_>, key: &Key) -> Result<Option<Connection>, DbError> {
    tx.query_opt(&FIND, &params![key.user_num, &key.device_id, &key.conn_id], |row| {
        Ok(Connection {
            num: row.get(0)?,
            base: row.get(1)?,
            version: row.get(2)?,
            used_ts: row.get(3)?,
            wanted: row.get(4)?,
        })
    })
}

/// Begins a connection, at version 1, and returns its number.
pub fn insert(tx: &mut Tx<'_>, key: &Key, now: Millis, wanted: &str) -> Result<i64, DbError> {
    tx.returning(&INSERT, &params![key.user_num, &key.device_id, &key.conn_id, now, wanted], |row| {
        row.get(0)
    })?
    .pop()
    .ok_or(DbError::NoRow)
}

/// Stores the changes of a connection.
pub fn advance(tx: &mut Tx<'_>, connection: &Connection) -> Result<(), DbError> {
    let Connection { num, base, version, used_ts, wanted } = connection;
    tx.execute(&ADVANCE, &params![*num, *base, *version, *used_ts, wanted])?;
    Ok(())
}

/// Returns the numbers of the connections of a device, the most recently used first.
pub fn of_device(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str) -> Result<Vec<i64>, DbError> {
    tx.query(&OF_DEVICE, &params![user_num, device_id], |row| row.get(0))
}

/// Deletes a connection.
pub fn delete(tx: &mut Tx<'_>, num: i64) -> Result<(), DbError> {
    delete_rooms_after(tx, num, 0)?;
    tx.execute(&DELETE, &params![num])?;
    Ok(())
}

/// Deletes all connections of a device.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    for num in of_device(tx, user_num, device_id)? {
        delete(tx, num)?;
    }
    Ok(())
}

/// Returns some of the connections that were not used since a time.
pub fn unused(tx: &ReadTx<'_>, before_ts: Millis, limit: i64) -> Result<Vec<i64>, DbError> {
    tx.query(&UNUSED, &params![before_ts, limit], |row| row.get(0))
}

/// The client's knowledge of a room since a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The number of the room.
    pub room_num: RoomNum,
    /// The version of the response that brought it.
    pub version: i64,
    /// The position up to which it is complete.
    pub upto: Pos,
    /// The number of the newest events that the client knows without a gap.
    pub timeline: i64,
    /// The index of the state that the client knows, in `wanted` of the connection.
    pub wanted: i64,
    /// True if the client knows the room as a direct chat.
    pub is_dm: bool,
}

/// Returns the client's knowledge at a version, by room and version. Of two entries for the same room the last holds.
pub fn rooms(tx: &ReadTx<'_>, connection: i64, version: i64) -> Result<Vec<Known>, DbError> {
    tx.query(&ROOMS, &params![connection, version], |row| {
        Ok(Known {
            room_num: row.get(0)?,
            version: row.get(1)?,
            upto: row.get(2)?,
            timeline: row.get(3)?,
            wanted: row.get(4)?,
            is_dm: row.get(5)?,
        })
    })
}

/// Returns the positions of the membership events that belong to the knowledge of a room, as stored.
pub fn members(tx: &ReadTx<'_>, connection: i64, known: &Known) -> Result<String, DbError> {
    let found =
        tx.query_opt(&MEMBERS, &params![connection, known.room_num, known.version], |row| row.get(0))?;
    Ok(found.unwrap_or_default())
}

/// Stores the client's knowledge of a room.
pub fn put_room(tx: &mut Tx<'_>, connection: i64, known: &Known, members: &str) -> Result<(), DbError> {
    let Known { room_num, version, upto, timeline, wanted, is_dm } = known;
    tx.execute(
        &PUT_ROOM,
        &params![connection, *room_num, *version, *upto, *timeline, *wanted, *is_dm, members],
    )?;
    Ok(())
}

/// Deletes the knowledge of a room before a version.
pub fn delete_room_before(
    tx: &mut Tx<'_>,
    connection: i64,
    room_num: RoomNum,
    version: i64,
) -> Result<(), DbError> {
    tx.execute(&DELETE_ROOM_BEFORE, &params![connection, room_num, version])?;
    Ok(())
}

/// Deletes the knowledge that came with later versions.
pub fn delete_rooms_after(tx: &mut Tx<'_>, connection: i64, version: i64) -> Result<(), DbError> {
    tx.execute(&DELETE_ROOMS_AFTER, &params![connection, version])?;
    Ok(())
}
