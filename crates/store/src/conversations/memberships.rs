//! Current memberships.

use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Membership, Pos, RoomNum};
use serde_json::json;

macro_rules! columns {
    () => {
        "m.user_id, m.room_num, m.membership, m.event_pos, m.since_pos, m.forgotten"
    };
}

reeve_db::statements! {
    FIND = concat!("SELECT ", columns!(), " FROM memberships m WHERE user_id = $1 AND room_num = $2");
    PUT = "INSERT INTO memberships (user_id, room_num, membership, event_pos, since_pos, forgotten, own_rules, \
           pushes, name_word, id_word) VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9) ON CONFLICT (user_id, room_num) DO UPDATE SET \
           membership = excluded.membership, event_pos = excluded.event_pos, since_pos = excluded.since_pos, forgotten = 0, \
           own_rules = excluded.own_rules, pushes = excluded.pushes, name_word = excluded.name_word, id_word = excluded.id_word";
    /// `$2`: an array as JSON. A member may come twice.
    NAMED = {
        sqlite: "SELECT m.user_id FROM json_each($2) w CROSS JOIN memberships m \
                 WHERE m.room_num = $1 AND m.membership = 'join' AND m.name_word = w.value \
                 UNION ALL SELECT m.user_id FROM json_each($2) w CROSS JOIN memberships m \
                 WHERE m.room_num = $1 AND m.membership = 'join' AND m.id_word = w.value LIMIT $3",
        postgres: "SELECT user_id FROM memberships WHERE room_num = $1 AND membership = 'join' \
                   AND name_word = ANY (ARRAY(SELECT json_array_elements_text(CAST(CAST($2 AS TEXT) AS JSON)))) \
                   UNION ALL SELECT user_id FROM memberships WHERE room_num = $1 AND membership = 'join' \
                   AND id_word = ANY (ARRAY(SELECT json_array_elements_text(CAST(CAST($2 AS TEXT) AS JSON)))) LIMIT $3",
    };
    SET_PUSHES = "UPDATE memberships SET pushes = 1 WHERE user_id = $1 AND membership = 'join' AND pushes = 0";
    FORGET = "UPDATE memberships SET forgotten = 1 WHERE user_id = $1 AND room_num = $2";
    OF_USER = concat!("SELECT ", columns!(), ", r.room_id, r.last_pos FROM memberships m \
               JOIN rooms r ON r.num = m.room_num WHERE m.user_id = $1 ORDER BY m.room_num");
    OF_USER_IN = concat!("SELECT ", columns!(), ", r.room_id, r.last_pos FROM memberships m \
                  JOIN rooms r ON r.num = m.room_num WHERE m.user_id = $1 AND m.membership = $2 ORDER BY m.room_num");
    SOME_OF_USER = concat!("SELECT ", columns!(), " FROM memberships m WHERE user_id = $1 AND room_num > $2 \
                    ORDER BY room_num LIMIT $3");
    CHANGED_OF_USER = concat!("SELECT ", columns!(), ", r.room_id, r.last_pos FROM memberships m \
                       JOIN rooms r ON r.num = m.room_num WHERE m.user_id = $1 AND m.event_pos > $2 ORDER BY m.room_num");
    SOME_OF_USER_IN = concat!("SELECT ", columns!(), " FROM memberships m WHERE user_id = $1 AND membership = $2 \
                       AND room_num > $3 ORDER BY room_num LIMIT $4");
    COUNT_OF_USER_IN = "SELECT count(*) FROM memberships WHERE user_id = $1 AND membership = $2";
    OF_ROOM_IN = "SELECT user_id FROM memberships WHERE room_num = $1 AND membership = $2 ORDER BY since_pos LIMIT $3";
    GUESTS_OF_ROOM = "SELECT m.user_id FROM memberships m JOIN users u ON u.user_id = m.user_id AND u.is_guest = 1 \
                      WHERE m.room_num = $1 AND m.membership = 'join' ORDER BY m.since_pos LIMIT $2";
    SHARED = "SELECT 1 FROM memberships a JOIN memberships b ON b.room_num = a.room_num AND b.user_id = $2 \
              AND b.membership = 'join' WHERE a.user_id = $1 AND a.membership = 'join' LIMIT 1";
    SHARED_ROOMS = "SELECT a.room_num, r.room_id FROM memberships a JOIN memberships b ON b.room_num = a.room_num \
                    AND b.user_id = $2 AND b.membership = 'join' JOIN rooms r ON r.num = a.room_num \
                    WHERE a.user_id = $1 AND a.membership = 'join' AND a.room_num > $3 ORDER BY a.room_num LIMIT $4";
    /// `$1`: the user ids, a JSON array.
    SHARED_ROOMS_OF = {
        sqlite: "SELECT w.value, m.room_num FROM json_each($1) AS w CROSS JOIN memberships m ON m.user_id = w.value \
                 AND m.room_num IN (SELECT a.room_num FROM memberships a JOIN memberships b ON b.room_num = a.room_num \
                 AND b.user_id = $2 AND b.membership = 'join' WHERE a.user_id = w.value AND a.membership = 'join' \
                 ORDER BY a.room_num LIMIT $3)",
        postgres: "SELECT w.user_id, s.room_num \
                   FROM json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)) AS w (user_id) CROSS JOIN LATERAL \
                   (SELECT a.room_num FROM memberships a JOIN memberships b ON b.room_num = a.room_num AND b.user_id = $2 \
                   AND b.membership = 'join' WHERE a.user_id = w.user_id AND a.membership = 'join' \
                   ORDER BY a.room_num LIMIT $3) s",
    };
    COUNT_SHARED_ROOMS = "SELECT count(*) FROM memberships a JOIN memberships b ON b.room_num = a.room_num \
                          AND b.user_id = $2 AND b.membership = 'join' WHERE a.user_id = $1 AND a.membership = 'join'";
    IN_PUBLIC = "SELECT 1 FROM memberships m JOIN rooms r ON r.num = m.room_num WHERE m.user_id = $1 \
                 AND m.membership = 'join' AND (r.join_rule = 'public' OR r.history_visibility = 'world_readable') LIMIT 1";
    REMEMBERED = "SELECT 1 FROM memberships WHERE room_num = $1 AND forgotten = 0 LIMIT 1";
    DEVICES = "SELECT count(*) FROM memberships m JOIN users u ON u.user_id = m.user_id \
               JOIN devices d ON d.user_num = u.num WHERE m.room_num = $1 AND m.membership = 'join'";
    DELETE_SOME_OF_ROOM = "DELETE FROM memberships WHERE room_num = $1 AND user_id IN \
                           (SELECT user_id FROM memberships WHERE room_num = $1 LIMIT $2) RETURNING user_id";
}

/// The membership of a user in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user id.
    pub user_id: String,
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
}

/// The membership of a user, with the id of the room and its newest position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InRoom {
    /// The membership.
    pub member: Member,
    /// The id of the room.
    pub room_id: String,
    /// The position of the newest event of the room.
    pub last_pos: Pos,
}

fn from_row(row: &Row<'_>) -> Result<Member, DbError> {
    Ok(Member {
        user_id: row.get(0)?,
        room_num: row.get(1)?,
        membership: row.get(2)?,
        event_pos: row.get(3)?,
        since_pos: row.get(4)?,
        forgotten: row.get(5)?,
    })
}

fn in_room(row: &Row<'_>) -> Result<InRoom, DbError> {
    Ok(InRoom { member: from_row(row)?, room_id: row.get(6)?, last_pos: row.get(7)? })
}

/// Returns the membership of a user in a room; `None` if there never was one.
pub fn find(tx: &ReadTx<'_>, user_id: &str, room_num: RoomNum) -> Result<Option<Member>, DbError> {
    tx.query_opt(&FIND, &params![user_id, room_num], from_row)
}

/// The words by which a message can mention a member without a user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameWords {
    /// The first word of the name in the room.
    pub name: String,
    /// The first word of the localpart.
    pub localpart: String,
}

/// Stores a membership, with marks for a user who has push rules of their own, or pushers.
pub fn put(
    tx: &mut Tx<'_>,
    member: &Member,
    own_rules: bool,
    pushes: bool,
    words: &NameWords,
) -> Result<(), DbError> {
    let Member { user_id, room_num, membership, event_pos, since_pos, .. } = member;
    tx.execute(
        &PUT,
        &params![
            user_id,
            *room_num,
            *membership,
            *event_pos,
            *since_pos,
            own_rules,
            pushes,
            &words.name,
            &words.localpart
        ],
    )?;
    Ok(())
}

/// Returns members of a room whose name or localpart begins with one of some words, given as a JSON array. A member with
/// both occurs twice.
pub fn named(tx: &ReadTx<'_>, room_num: RoomNum, words: &str, limit: i64) -> Result<Vec<String>, DbError> {
    tx.query(&NAMED, &params![room_num, words, limit], |row| row.get(0))
}

/// Marks the memberships of a user who has a pusher.
pub fn set_pushes(tx: &mut Tx<'_>, user_id: &str) -> Result<(), DbError> {
    tx.execute(&SET_PUSHES, &params![user_id])?;
    Ok(())
}

/// Marks a room as forgotten by a user.
pub fn forget(tx: &mut Tx<'_>, user_id: &str, room_num: RoomNum) -> Result<(), DbError> {
    tx.execute(&FORGET, &params![user_id, room_num])?;
    Ok(())
}

/// Returns all rooms in which a user ever had a membership.
pub fn of_user(tx: &ReadTx<'_>, user_id: &str) -> Result<Vec<InRoom>, DbError> {
    tx.query(&OF_USER, &params![user_id], in_room)
}

/// Returns the rooms in which a user has a membership.
pub fn of_user_in(tx: &ReadTx<'_>, user_id: &str, membership: Membership) -> Result<Vec<InRoom>, DbError> {
    tx.query(&OF_USER_IN, &params![user_id, membership], in_room)
}

/// Returns the rooms in which a user's membership event changed after a position.
pub fn changed_of_user(tx: &ReadTx<'_>, user_id: &str, since: Pos) -> Result<Vec<InRoom>, DbError> {
    tx.query(&CHANGED_OF_USER, &params![user_id, since], in_room)
}

/// Returns some of the rooms in which a user has a membership, after a room number.
pub fn some_of_user_in(
    tx: &ReadTx<'_>,
    user_id: &str,
    membership: Membership,
    beyond: RoomNum,
    limit: i64,
) -> Result<Vec<Member>, DbError> {
    tx.query(&SOME_OF_USER_IN, &params![user_id, membership, beyond, limit], from_row)
}

/// Returns some of the memberships of a user, whatever they are, after a room number.
pub fn some_of_user(
    tx: &ReadTx<'_>,
    user_id: &str,
    beyond: RoomNum,
    limit: i64,
) -> Result<Vec<Member>, DbError> {
    tx.query(&SOME_OF_USER, &params![user_id, beyond, limit], from_row)
}

/// Returns the number of rooms in which a user has a membership.
pub fn count_of_user_in(tx: &ReadTx<'_>, user_id: &str, membership: Membership) -> Result<i64, DbError> {
    tx.query_one(&COUNT_OF_USER_IN, &params![user_id, membership], |row| row.get(0))
}

/// Returns the users with a membership in a room, in the order in which they got it.
pub fn of_room_in(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    membership: Membership,
    limit: i64,
) -> Result<Vec<String>, DbError> {
    tx.query(&OF_ROOM_IN, &params![room_num, membership, limit], |row| row.get(0))
}

/// Returns the guests who have joined a room.
pub fn guests_of_room(tx: &ReadTx<'_>, room_num: RoomNum, limit: i64) -> Result<Vec<String>, DbError> {
    tx.query(&GUESTS_OF_ROOM, &params![room_num, limit], |row| row.get(0))
}

/// Returns true if two users have joined the same room.
pub fn share_room(tx: &ReadTx<'_>, one: &str, other: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&SHARED, &params![one, other], |_| Ok(()))?.is_some())
}

/// Returns the numbers and ids of rooms that two users have joined, after a room number, in the order of the numbers.
pub fn shared_rooms(
    tx: &ReadTx<'_>,
    one: &str,
    other: &str,
    beyond: RoomNum,
    limit: i64,
) -> Result<Vec<(RoomNum, String)>, DbError> {
    tx.query(&SHARED_ROOMS, &params![one, other, beyond, limit], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns the numbers of the rooms that each of some users has joined together with another one, ascending, at most `limit` for
/// each. Users without such a room are left out.
pub fn shared_rooms_of(
    tx: &ReadTx<'_>,
    user_ids: &[&str],
    other: &str,
    limit: i64,
) -> Result<HashMap<String, Vec<RoomNum>>, DbError> {
    let mut found: HashMap<String, Vec<RoomNum>> = HashMap::new();
    tx.query(&SHARED_ROOMS_OF, &params![json!(user_ids).to_string(), other, limit], |row| {
        found.entry(row.get(0)?).or_default().push(row.get(1)?);
        Ok(())
    })?;
    for nums in found.values_mut() {
        nums.sort_unstable();
    }
    Ok(found)
}

/// Returns the number of rooms that two users have joined.
pub fn count_shared_rooms(tx: &ReadTx<'_>, one: &str, other: &str) -> Result<i64, DbError> {
    tx.query_one(&COUNT_SHARED_ROOMS, &params![one, other], |row| row.get(0))
}

/// Returns true if a user has joined a room that everybody can join or read.
pub fn in_public_room(tx: &ReadTx<'_>, user_id: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&IN_PUBLIC, &params![user_id], |_| Ok(()))?.is_some())
}

/// Returns true if a user who ever had a membership in a room has not forgotten the room.
pub fn is_remembered(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<bool, DbError> {
    Ok(tx.query_opt(&REMEMBERED, &params![room_num], |_| Ok(()))?.is_some())
}

/// Returns the number of devices of the joined members of a room.
pub fn count_devices(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<i64, DbError> {
    tx.query_one(&DEVICES, &params![room_num], |row| row.get(0))
}

/// Deletes some memberships of a room; returns the user ids.
pub fn delete_some_of_room(tx: &mut Tx<'_>, room_num: RoomNum, most: i64) -> Result<Vec<String>, DbError> {
    tx.returning(&DELETE_SOME_OF_ROOM, &params![room_num, most], |row| row.get(0))
}
