//! Account data: settings that clients store on the server, global (with a blank room id) or for a room.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Pos, UserNum};

use crate::stream;

reeve_db::statements! {
    OF_USER = "SELECT room_id, data_type, content FROM account_data WHERE user_num = $1 ORDER BY room_id, data_type";
    PAGE_OF_USER = "SELECT room_id, data_type, content FROM account_data WHERE user_num = $1 AND (room_id, data_type) > ($2, $3) \
                    ORDER BY room_id, data_type LIMIT $4";
    OF_ROOM = "SELECT room_id, data_type, content FROM account_data WHERE user_num = $1 AND room_id = $2 ORDER BY data_type";
    OF_TYPE = "SELECT room_id, data_type, content FROM account_data WHERE user_num = $1 AND data_type = $2 ORDER BY room_id";
    FIND = "SELECT content FROM account_data WHERE user_num = $1 AND room_id = $2 AND data_type = $3";
    PUT = "INSERT INTO account_data (user_num, room_id, data_type, content, pos) VALUES ($1, $2, $3, $4, $5) \
           ON CONFLICT (user_num, room_id, data_type) DO UPDATE SET content = excluded.content, pos = excluded.pos";
    CHANGED = "SELECT room_id, data_type, content FROM account_data WHERE user_num = $1 AND pos > $2 AND pos <= $3 \
               ORDER BY pos";
    LENGTH = "SELECT octet_length(content) FROM account_data WHERE user_num = $1 AND room_id = $2 AND data_type = $3";
    ADD = "INSERT INTO account_data_totals (user_num, entries, bytes) VALUES ($1, $2, $3) \
           ON CONFLICT (user_num) DO UPDATE SET entries = account_data_totals.entries + excluded.entries, \
           bytes = account_data_totals.bytes + excluded.bytes RETURNING entries, bytes";
    DELETE_OF_ROOM = "DELETE FROM account_data WHERE user_num = (SELECT num FROM users WHERE user_id = $1) \
                      AND room_id = $2 RETURNING user_num, octet_length(content)";
    COUNT = "SELECT count(*) FROM account_data WHERE user_num = $1";
    DELETE_SOME = "DELETE FROM account_data WHERE (user_num, room_id, data_type) IN \
                   (SELECT user_num, room_id, data_type FROM account_data WHERE user_num = $1 \
                   ORDER BY room_id, data_type LIMIT $2) \
                   RETURNING user_num, octet_length(content)";
}

/// One piece of account data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountData {
    /// The room it is about; blank if global.
    pub room_id: String,
    /// Its type.
    pub data_type: String,
    /// Its content, as JSON.
    pub content: String,
}

fn from_row(row: &Row<'_>) -> Result<AccountData, DbError> {
    Ok(AccountData { room_id: row.get(0)?, data_type: row.get(1)?, content: row.get(2)? })
}

/// Returns some of the pieces of an account after one of them, in the order of rooms and types.
pub fn page_of_user(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    room_id: &str,
    data_type: &str,
    limit: i64,
) -> Result<Vec<AccountData>, DbError> {
    tx.query(&PAGE_OF_USER, &params![user_num, room_id, data_type, limit], from_row)
}

/// Returns all account data of an account, by room and type.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<AccountData>, DbError> {
    tx.query(&OF_USER, &params![user_num], from_row)
}

/// Returns all account data of an account for a room, by type.
pub fn of_room(tx: &ReadTx<'_>, user_num: UserNum, room_id: &str) -> Result<Vec<AccountData>, DbError> {
    tx.query(&OF_ROOM, &params![user_num, room_id], from_row)
}

/// Returns all account data of one type of an account, by room.
pub fn of_type(tx: &ReadTx<'_>, user_num: UserNum, data_type: &str) -> Result<Vec<AccountData>, DbError> {
    tx.query(&OF_TYPE, &params![user_num, data_type], from_row)
}

/// Returns the content of one piece, as JSON.
pub fn find(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    room_id: &str,
    data_type: &str,
) -> Result<Option<String>, DbError> {
    tx.query_opt(&FIND, &params![user_num, room_id, data_type], |row| row.get(0))
}

/// The total size of an account's account data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The number of pieces.
    pub entries: i64,
    /// The bytes of their contents.
    pub bytes: i64,
}

/// Sets one piece to a content, given as JSON. Returns the totals, if they have grown.
pub fn put(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    room_id: &str,
    data_type: &str,
    content: &str,
) -> Result<Option<Totals>, DbError> {
    let before: Option<i64> =
        tx.query_opt(&LENGTH, &params![user_num, room_id, data_type], |row| row.get(0))?;
    let pos = stream::next(tx)?;
    tx.execute(&PUT, &params![user_num, room_id, data_type, content, pos])?;
    let length = i64::try_from(content.len()).unwrap_or(i64::MAX);
    let more = Totals {
        entries: i64::from(before.is_none()),
        bytes: length.saturating_sub(before.unwrap_or_default()),
    };
    let all = add(tx, user_num, more)?;
    Ok(all.filter(|_| more.entries > 0 || more.bytes > 0))
}

/// Adds to the totals of an account; returns them, unless nothing was added.
pub(super) fn add(tx: &mut Tx<'_>, user_num: UserNum, more: Totals) -> Result<Option<Totals>, DbError> {
    if more == (Totals { entries: 0, bytes: 0 }) {
        return Ok(None);
    }
    let totals = |row: &Row<'_>| Ok(Totals { entries: row.get(0)?, bytes: row.get(1)? });
    Ok(tx.returning(&ADD, &params![user_num, more.entries, more.bytes], totals)?.pop())
}

/// Subtracts deleted pieces, each given by the account and its length, from the totals of their accounts; returns the
/// number of pieces.
fn deleted(tx: &mut Tx<'_>, pieces: &[(UserNum, i64)]) -> Result<u64, DbError> {
    if let Some((user_num, _)) = pieces.first() {
        let entries = i64::try_from(pieces.len()).unwrap_or(i64::MAX);
        let bytes: i64 = pieces.iter().map(|(_, length)| length).sum();
        add(tx, *user_num, Totals { entries: -entries, bytes: -bytes })?;
    }
    Ok(u64::try_from(pieces.len()).unwrap_or(u64::MAX))
}

fn piece(row: &Row<'_>) -> Result<(UserNum, i64), DbError> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Returns the number of pieces that an account has.
pub fn count_of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![user_num], |row| row.get(0))
}

/// Deletes the first pieces of an account by room and type, up to `most`; returns the number.
pub fn delete_some_of_user(tx: &mut Tx<'_>, user_num: UserNum, most: i64) -> Result<u64, DbError> {
    let pieces = tx.returning(&DELETE_SOME, &params![user_num, most], piece)?;
    deleted(tx, &pieces)
}

/// Deletes an account's data for a room.
pub fn delete_of_room(tx: &mut Tx<'_>, user_id: &str, room_id: &str) -> Result<(), DbError> {
    let pieces = tx.returning(&DELETE_OF_ROOM, &params![user_id, room_id], piece)?;
    deleted(tx, &pieces)?;
    Ok(())
}

/// Returns the pieces of an account that changed in `(since, upto]`, in that order.
pub fn changed(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    since: Pos,
    upto: Pos,
) -> Result<Vec<AccountData>, DbError> {
    tx.query(&CHANGED, &params![user_num, since, upto], from_row)
}
