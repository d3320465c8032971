//! Who stands how to which room, at present.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Membership, Pos, RoomNum};

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

/// Where somebody stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user_id: String,
    /// The number of the room.
    pub room_num: RoomNum,
    /// The membership.
    pub membership: Membership,
    /// The position of the newest membership event.
    pub event_pos: Pos,
    /// The position of the event that brought this membership.
    pub since_pos: Pos,
    /// Whether the user forgot the room.
    pub forgotten: bool,
}

/// Where somebody stands, with what the room is called and where it ends.
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

/// Where a user stands to a room; `None` if never in touch with it.
pub fn find(tx: &ReadTx<'_>, user_id: &str, room_num: RoomNum) -> Result<Option<Member>, DbError> {
    tx.query_opt(&FIND, &params![user_id, room_num], from_row)
}

/// The words of a message by which a member of a room may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameWords {
    /// The first word of the name in the room.
    pub name: String,
    /// The first word of the localpart.
    pub localpart: String,
}

/// Stores where somebody stands, and whether they have push rules of their own, and pushers.
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

/// Returns members of a room of whose name or localpart one of some words, given as a JSON array, is the first. A member of
/// whom both is true comes twice.
pub fn named(tx: &ReadTx<'_>, room_num: RoomNum, words: &str, limit: i64) -> Result<Vec<String>, DbError> {
    tx.query(&NAMED, &params![room_num, words, limit], |row| row.get(0))
}

/// Notes that a user has a pusher.
pub fn set_pushes(tx: &mut Tx<'_>, user_id: &str) -> Result<(), DbError> {
    tx.execute(&SET_PUSHES, &params![user_id])?;
    Ok(())
}

/// Marks a room as forgotten by a user.
pub fn forget(tx: &mut Tx<'_>, user_id: &str, room_num: RoomNum) -> Result<(), DbError> {
    tx.execute(&FORGET, &params![user_id, room_num])?;
    Ok(())
}

/// All rooms that a user was ever in touch with.
pub fn of_user(tx: &ReadTx<'_>, user_id: &str) -> Result<Vec<InRoom>, DbError> {
    tx.query(&OF_USER, &params![user_id], in_room)
}

/// The rooms to which a user stands in one way.
pub fn of_user_in(tx: &ReadTx<'_>, user_id: &str, membership: Membership) -> Result<Vec<InRoom>, DbError> {
    tx.query(&OF_USER_IN, &params![user_id, membership], in_room)
}

/// The rooms in which a user's membership event changed after a position.
pub fn changed_of_user(tx: &ReadTx<'_>, user_id: &str, since: Pos) -> Result<Vec<InRoom>, DbError> {
    tx.query(&CHANGED_OF_USER, &params![user_id, since], in_room)
}

/// Some of the rooms to which a user stands in one way, beyond a room number.
pub fn some_of_user_in(
    tx: &ReadTx<'_>,
    user_id: &str,
    membership: Membership,
    beyond: RoomNum,
    limit: i64,
) -> Result<Vec<Member>, DbError> {
    tx.query(&SOME_OF_USER_IN, &params![user_id, membership, beyond, limit], from_row)
}

/// To how many rooms a user stands in one way.
pub fn count_of_user_in(tx: &ReadTx<'_>, user_id: &str, membership: Membership) -> Result<i64, DbError> {
    tx.query_one(&COUNT_OF_USER_IN, &params![user_id, membership], |row| row.get(0))
}

/// Who stands to a room in one way, in the order in which they came to.
pub fn of_room_in(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    membership: Membership,
    limit: i64,
) -> Result<Vec<String>, DbError> {
    tx.query(&OF_ROOM_IN, &params![room_num, membership, limit], |row| row.get(0))
}

/// The guests who have joined a room.
pub fn guests_of_room(tx: &ReadTx<'_>, room_num: RoomNum, limit: i64) -> Result<Vec<String>, DbError> {
    tx.query(&GUESTS_OF_ROOM, &params![room_num, limit], |row| row.get(0))
}

/// Whether two users have joined the same room.
pub fn share_room(tx: &ReadTx<'_>, one: &str, other: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&SHARED, &params![one, other], |_| Ok(()))?.is_some())
}

/// The numbers and ids of rooms that two users have joined, beyond a room number, in the order of the numbers.
pub fn shared_rooms(
    tx: &ReadTx<'_>,
    one: &str,
    other: &str,
    beyond: RoomNum,
    limit: i64,
) -> Result<Vec<(RoomNum, String)>, DbError> {
    tx.query(&SHARED_ROOMS, &params![one, other, beyond, limit], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// How many rooms two users have both joined.
pub fn count_shared_rooms(tx: &ReadTx<'_>, one: &str, other: &str) -> Result<i64, DbError> {
    tx.query_one(&COUNT_SHARED_ROOMS, &params![one, other], |row| row.get(0))
}

/// Whether a user has joined a room that everybody can join or read.
pub fn in_public_room(tx: &ReadTx<'_>, user_id: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&IN_PUBLIC, &params![user_id], |_| Ok(()))?.is_some())
}

/// Whether anybody who was ever in touch with a room has not forgotten it.
pub fn is_remembered(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<bool, DbError> {
    Ok(tx.query_opt(&REMEMBERED, &params![room_num], |_| Ok(()))?.is_some())
}

/// How many devices those have who joined a room.
pub fn count_devices(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<i64, DbError> {
    tx.query_one(&DEVICES, &params![room_num], |row| row.get(0))
}

/// Forgets some memberships of a room; answers whose.
pub fn delete_some_of_room(tx: &mut Tx<'_>, room_num: RoomNum, most: i64) -> Result<Vec<String>, DbError> {
    tx.returning(&DELETE_SOME_OF_ROOM, &params![room_num, most], |row| row.get(0))
}
