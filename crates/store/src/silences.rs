//! Whom push rules keep from what notifies everybody, in which room and since when.
//!
//! Who has silenced a room is told of nothing for years. So that is noted when it begins and when it ends, and sending
//! costs nothing for those in whose silence nothing changes.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Pos, RoomNum};
use serde_json::json;

reeve_db::statements! {
    LASTING_IN = "SELECT user_id FROM silences WHERE room_num = $1 AND upto_pos = 9223372036854775807";
    // Those that begin later, and the one before: it may go as far.
    SINCE = "SELECT from_pos, upto_pos FROM silences WHERE user_id = $1 AND room_num = $2 AND from_pos >= coalesce(\
             (SELECT max(s.from_pos) FROM silences s WHERE s.user_id = $1 AND s.room_num = $2 AND s.from_pos <= $3), 0) \
             ORDER BY from_pos";
    INSERT = {
        sqlite: "INSERT INTO silences (user_id, room_num, from_pos, upto_pos) SELECT value, $2, $3, $4 FROM json_each($1)",
        postgres: "INSERT INTO silences (user_id, room_num, from_pos, upto_pos) \
                   SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)), \
                   CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT)",
    };
    END = {
        sqlite: "UPDATE silences SET upto_pos = $3 WHERE room_num = $2 AND upto_pos = 9223372036854775807 \
                 AND user_id IN (SELECT value FROM json_each($1))",
        postgres: "UPDATE silences SET upto_pos = $3 WHERE room_num = $2 AND upto_pos = 9223372036854775807 \
                   AND user_id = ANY (ARRAY(SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON))))",
    };
    DELETE = "DELETE FROM silences WHERE user_id = $1 AND room_num = $2";
}

/// Those whose silence in a room has not ended.
pub fn lasting_in(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<Vec<String>, DbError> {
    tx.query(&LASTING_IN, &params![room_num], |row| row.get(0))
}

/// From where to where a user is told of nothing in a room, in order, as far as it is beyond a position.
pub fn since(
    tx: &ReadTx<'_>,
    user_id: &str,
    room_num: RoomNum,
    pos: Pos,
) -> Result<Vec<(Pos, Pos)>, DbError> {
    let mut found: Vec<(Pos, Pos)> =
        tx.query(&SINCE, &params![user_id, room_num, pos], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.retain(|(_, upto)| *upto > pos);
    Ok(found)
}

/// Notes that users are told of nothing in a room from one position to another one. They are not silent there before.
pub fn insert(
    tx: &mut Tx<'_>,
    user_ids: &[String],
    room_num: RoomNum,
    from: Pos,
    upto: Pos,
) -> Result<(), DbError> {
    if !user_ids.is_empty() {
        tx.execute(&INSERT, &params![json!(user_ids).to_string(), room_num, from, upto])?;
    }
    Ok(())
}

/// Ends the silences of users in a room that have not ended, at a position.
pub fn end(tx: &mut Tx<'_>, user_ids: &[String], room_num: RoomNum, upto: Pos) -> Result<(), DbError> {
    if !user_ids.is_empty() {
        tx.execute(&END, &params![json!(user_ids).to_string(), room_num, upto])?;
    }
    Ok(())
}

/// Forgets the silences of a user in a room.
pub fn delete(tx: &mut Tx<'_>, user_id: &str, room_num: RoomNum) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_id, room_num])?;
    Ok(())
}
