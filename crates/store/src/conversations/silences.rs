//! Mute intervals: spans of the stream in which a user's push rules mute a room that notifies everybody else.
//!
//! A room can be muted for years. So one row is written when an interval begins and changed when it ends, and sending
//! costs nothing for members whose interval goes on.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Pos, RoomNum};
use serde_json::json;

reeve_db::statements! {
    LASTING_IN = "SELECT user_id FROM silences WHERE room_num = $1 AND upto_pos = 9223372036854775807";
    // The intervals that begin later, and the one before, which may reach beyond the position.
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

/// Returns the users whose mute interval in a room has not ended.
pub fn lasting_in(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<Vec<String>, DbError> {
    tx.query(&LASTING_IN, &params![room_num], |row| row.get(0))
}

/// An interval in which a room is muted for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The position of the first event in it.
    pub from: Pos,
    /// The position of the last event in it; [`Pos::END`] if it has not ended.
    pub upto: Pos,
}

/// Returns the mute intervals of a user in a room that reach beyond a position, in order.
pub fn since(tx: &ReadTx<'_>, user_id: &str, room_num: RoomNum, pos: Pos) -> Result<Vec<Silence>, DbError> {
    let mut found = tx.query(&SINCE, &params![user_id, room_num, pos], |row| {
        Ok(Silence { from: row.get(0)?, upto: row.get(1)? })
    })?;
    found.retain(|silence| silence.upto > pos);
    Ok(found)
}

/// Adds a mute interval for users who have none in the room at its positions.
pub fn insert(
    tx: &mut Tx<'_>,
    user_ids: &[String],
    room_num: RoomNum,
    Silence { from, upto }: Silence,
) -> Result<(), DbError> {
    if !user_ids.is_empty() {
        tx.execute(&INSERT, &params![json!(user_ids).to_string(), room_num, from, upto])?;
    }
    Ok(())
}

/// Ends the open mute intervals of users in a room with a position.
pub fn end(tx: &mut Tx<'_>, user_ids: &[String], room_num: RoomNum, upto: Pos) -> Result<(), DbError> {
    if !user_ids.is_empty() {
        tx.execute(&END, &params![json!(user_ids).to_string(), room_num, upto])?;
    }
    Ok(())
}

/// Deletes the mute intervals of a user in a room.
pub fn delete(tx: &mut Tx<'_>, user_id: &str, room_num: RoomNum) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_id, room_num])?;
    Ok(())
}
