//! Backups of room keys.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{KeptNum, UserNum};

use crate::stream;

macro_rules! columns {
    () => {
        "room_id, session_id, first_message_index, forwarded_count, is_verified, session_data"
    };
}

reeve_db::statements! {
    LATEST = "SELECT version, algorithm, auth_data, keys, etag, slot FROM key_backups WHERE user_num = $1 AND deleted = 0 \
              ORDER BY version DESC LIMIT 1";
    FIND = "SELECT version, algorithm, auth_data, keys, etag, slot FROM key_backups WHERE user_num = $1 AND version = $2 AND deleted = 0";
    WAS_DELETED = "SELECT 1 FROM key_backups WHERE user_num = $1 AND version = $2 AND deleted = 1";
    // The number of rows is bounded by the limit of backups.
    LIVE = "SELECT count(*), CAST(coalesce(sum(keys), 0) AS BIGINT), CAST(coalesce(sum(bytes), 0) AS BIGINT) \
            FROM key_backups WHERE user_num = $1 AND deleted = 0";
    HIGHEST = "SELECT max(version) FROM key_backups WHERE user_num = $1";
    INSERT = "INSERT INTO key_backups (user_num, version, algorithm, auth_data, keys, etag, deleted, slot) \
              VALUES ($1, $2, $3, $4, 0, 0, 0, $2)";
    SET_AUTH_DATA = "UPDATE key_backups SET auth_data = $3 WHERE user_num = $1 AND version = $2";
    COUNT = "UPDATE key_backups SET keys = keys + $3, bytes = bytes + $4, etag = etag + 1 WHERE user_num = $1 AND version = $2";
    DELETE = "UPDATE key_backups SET deleted = 1, algorithm = '', auth_data = '{}' \
              WHERE user_num = $1 AND version = $2 AND deleted = 0";
    DELETE_OF_USER = "UPDATE key_backups SET deleted = 1, algorithm = '', auth_data = '{}' WHERE user_num = $1 AND deleted = 0";
    KEEP_OF_USER = "UPDATE key_backups SET deleted = 1, kept_num = $2 WHERE user_num = $1 AND deleted = 0";
    BRING_BACK = "UPDATE key_backups SET deleted = 0, kept_num = NULL WHERE user_num = $1 AND kept_num = $2";
    DELETE_KEPT = "UPDATE key_backups SET kept_num = NULL, algorithm = '', auth_data = '{}' WHERE user_num = $1 AND kept_num = $2";
    // The number of rows is bounded by the limit of backups and the number of deleted ones.
    KEPT = "SELECT count(*), CAST(coalesce(sum(keys), 0) AS BIGINT), CAST(coalesce(sum(bytes), 0) AS BIGINT) \
            FROM key_backups WHERE user_num = $1 AND kept_num = $2";
    TO_CLEAR = "SELECT user_num, version, slot FROM key_backups WHERE deleted = 1 AND keys > 0 AND kept_num IS NULL \
                ORDER BY user_num, version LIMIT 1";
    TO_CLEAR_OF_USER = "SELECT version, slot FROM key_backups WHERE user_num = $1 AND deleted = 1 AND keys > 0 \
                        AND kept_num IS NULL ORDER BY version LIMIT 1";
    CLEARED = "UPDATE key_backups SET keys = 0 WHERE user_num = $1 AND version = $2";
    DELETE_SOME_KEYS = "DELETE FROM backed_up_keys WHERE user_num = $1 AND version = $2 AND (room_id, session_id) IN \
                        (SELECT room_id, session_id FROM backed_up_keys WHERE user_num = $1 AND version = $2 LIMIT $3)";
    KEY = concat!("SELECT ", columns!(), " FROM backed_up_keys WHERE user_num = $1 AND version = $2 AND room_id = $3 AND session_id = $4");
    KEYS_OF_ROOM = concat!("SELECT ", columns!(), " FROM backed_up_keys WHERE user_num = $1 AND version = $2 AND room_id = $3 \
                    ORDER BY session_id");
    KEYS = concat!("SELECT ", columns!(), " FROM backed_up_keys WHERE user_num = $1 AND version = $2 ORDER BY room_id, session_id");
    PUT_KEY = "INSERT INTO backed_up_keys (user_num, version, room_id, session_id, first_message_index, forwarded_count, \
               is_verified, session_data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
               ON CONFLICT (user_num, version, room_id, session_id) DO UPDATE SET \
               first_message_index = excluded.first_message_index, forwarded_count = excluded.forwarded_count, \
               is_verified = excluded.is_verified, session_data = excluded.session_data";
    DELETE_KEY = "DELETE FROM backed_up_keys WHERE user_num = $1 AND version = $2 AND room_id = $3 AND session_id = $4 \
                  RETURNING octet_length(session_data)";
    DELETE_KEYS_OF_ROOM = "DELETE FROM backed_up_keys WHERE user_num = $1 AND version = $2 AND room_id = $3 \
                           RETURNING octet_length(session_data)";
    LEAVE_KEYS = "INSERT INTO left_backup_keys (user_num, slot) SELECT user_num, slot FROM key_backups \
                  WHERE user_num = $1 AND version = $2";
    SET_SLOT = "UPDATE key_backups SET slot = $3, keys = 0, bytes = 0, etag = etag + 1 WHERE user_num = $1 AND version = $2";
    LEFT_TO_CLEAR = "SELECT user_num, slot FROM left_backup_keys ORDER BY user_num, slot LIMIT 1";
    LEFT_CLEARED = "DELETE FROM left_backup_keys WHERE user_num = $1 AND slot = $2";
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its version: 1 for the first of an account.
    pub version: i64,
    /// The algorithm of its keys.
    pub algorithm: String,
    /// The data with which clients encrypt more keys, as JSON.
    pub auth_data: String,
    /// The number of its keys.
    pub keys: i64,
    /// A value that changes with its keys.
    pub etag: i64,
    /// The number under which its keys are stored.
    pub slot: i64,
}

/// A key in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUpKey {
    /// The room.
    pub room_id: String,
    /// The session.
    pub session_id: String,
    /// The index of the first message that it decrypts.
    pub first_message_index: i64,
    /// The number of times that it was forwarded between devices.
    pub forwarded_count: i64,
    /// True if the device that it comes from was verified.
    pub is_verified: bool,
    /// The encrypted key, as JSON.
    pub session_data: String,
}

/// A selection of the keys of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// The keys for one room.
    Room(String),
    /// The key of one session, by room and session.
    Session(String, String),
}

fn backup(row: &Row<'_>) -> Result<Backup, DbError> {
    Ok(Backup {
        version: row.get(0)?,
        algorithm: row.get(1)?,
        auth_data: row.get(2)?,
        keys: row.get(3)?,
        etag: row.get(4)?,
        slot: row.get(5)?,
    })
}

fn key(row: &Row<'_>) -> Result<BackedUpKey, DbError> {
    Ok(BackedUpKey {
        room_id: row.get(0)?,
        session_id: row.get(1)?,
        first_message_index: row.get(2)?,
        forwarded_count: row.get(3)?,
        is_verified: row.get(4)?,
        session_data: row.get(5)?,
    })
}

/// Returns the newest backup of an account.
pub fn latest(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Option<Backup>, DbError> {
    tx.query_opt(&LATEST, &params![user_num], backup)
}

/// Returns a backup of an account.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum, version: i64) -> Result<Option<Backup>, DbError> {
    tx.query_opt(&FIND, &params![user_num, version], backup)
}

/// Returns true if a backup existed once.
pub fn was_deleted(tx: &ReadTx<'_>, user_num: UserNum, version: i64) -> Result<bool, DbError> {
    Ok(tx.query_opt(&WAS_DELETED, &params![user_num, version], |_| Ok(()))?.is_some())
}

/// The totals of the backups of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// The number of backups.
    pub backups: i64,
    /// The number of their keys.
    pub keys: i64,
    /// The size of these keys, encrypted, in bytes.
    pub bytes: i64,
}

/// Returns the totals of the backups of an account.
pub fn live(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Live, DbError> {
    tx.query_one(&LIVE, &params![user_num], totals)
}

/// Returns the totals of the backups that are kept of a deactivated account.
pub fn kept(tx: &ReadTx<'_>, user_num: UserNum, kept: KeptNum) -> Result<Live, DbError> {
    tx.query_one(&KEPT, &params![user_num, kept], totals)
}

fn totals(row: &Row<'_>) -> Result<Live, DbError> {
    Ok(Live { backups: row.get(0)?, keys: row.get(1)?, bytes: row.get(2)? })
}

/// Creates a backup and returns its version.
pub fn insert(tx: &mut Tx<'_>, user_num: UserNum, algorithm: &str, auth_data: &str) -> Result<i64, DbError> {
    let highest: Option<i64> = tx.query_one(&HIGHEST, &params![user_num], |row| row.get(0))?;
    let version = highest.map_or(1, |highest| highest + 1);
    tx.execute(&INSERT, &params![user_num, version, algorithm, auth_data])?;
    Ok(version)
}

/// Replaces the authentication data of a backup.
pub fn set_auth_data(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    version: i64,
    auth_data: &str,
) -> Result<(), DbError> {
    tx.execute(&SET_AUTH_DATA, &params![user_num, version, auth_data])?;
    Ok(())
}

/// Counts keys and bytes that were added (or, if negative, deleted), and changes the etag.
pub fn count(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    version: i64,
    added: i64,
    bytes: i64,
) -> Result<(), DbError> {
    tx.execute(&COUNT, &params![user_num, version, added, bytes])?;
    Ok(())
}

/// Deletes a backup; returns true if it existed. [`clear`] deletes its keys.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, version: i64) -> Result<bool, DbError> {
    Ok(tx.execute(&DELETE, &params![user_num, version])? > 0)
}

/// Deletes all backups of an account. [`clear`] deletes their keys.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])?;
    Ok(())
}

/// Deletes all backups of an account, but keeps them and their keys for [`bring_back`].
pub fn keep_of_user(tx: &mut Tx<'_>, user_num: UserNum, kept: KeptNum) -> Result<(), DbError> {
    tx.execute(&KEEP_OF_USER, &params![user_num, kept])?;
    Ok(())
}

/// Brings the kept backups of an account back; returns the number. Newer ones of the account stay the newest.
pub fn bring_back(tx: &mut Tx<'_>, user_num: UserNum, kept: KeptNum) -> Result<u64, DbError> {
    tx.execute(&BRING_BACK, &params![user_num, kept])
}

/// Keeps the backups of an account no longer. [`clear_of_user`] deletes their keys.
pub fn delete_kept(tx: &mut Tx<'_>, user_num: UserNum, kept: KeptNum) -> Result<(), DbError> {
    tx.execute(&DELETE_KEPT, &params![user_num, kept])?;
    Ok(())
}

/// Deletes up to `most` keys of a deleted backup of an account; returns true if there may be more to delete.
pub fn clear_of_user(tx: &mut Tx<'_>, user_num: UserNum, most: i64) -> Result<bool, DbError> {
    let found = tx.query_opt(&TO_CLEAR_OF_USER, &params![user_num], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some((version, slot)): Option<(i64, i64)> = found else { return Ok(false) };
    if clear_slot(tx, user_num, slot, most)? {
        tx.execute(&CLEARED, &params![user_num, version])?;
    }
    Ok(true)
}

/// Deletes up to `most` keys of one deleted backup; returns true if there may be more to delete.
pub fn clear(tx: &mut Tx<'_>, most: i64) -> Result<bool, DbError> {
    let found = tx.query_opt(&TO_CLEAR, &params![], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let Some((user_num, version, slot)): Option<(UserNum, i64, i64)> = found else {
        return clear_left(tx, most);
    };
    if clear_slot(tx, user_num, slot, most)? {
        tx.execute(&CLEARED, &params![user_num, version])?;
    }
    Ok(true)
}

/// Does the same for keys that were deleted without their backup.
fn clear_left(tx: &mut Tx<'_>, most: i64) -> Result<bool, DbError> {
    let found = tx.query_opt(&LEFT_TO_CLEAR, &params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some((user_num, slot)): Option<(UserNum, i64)> = found else { return Ok(false) };
    if clear_slot(tx, user_num, slot, most)? {
        tx.execute(&LEFT_CLEARED, &params![user_num, slot])?;
    }
    Ok(true)
}

/// Deletes up to `most` keys in a slot; returns true if no others are left.
fn clear_slot(tx: &mut Tx<'_>, user_num: UserNum, slot: i64, most: i64) -> Result<bool, DbError> {
    let deleted = tx.execute(&DELETE_SOME_KEYS, &params![user_num, slot, most])?;
    Ok(i64::try_from(deleted).unwrap_or(most) < most)
}

/// Returns keys in the slot of a backup, by room and session.
pub fn keys(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    slot: i64,
    which: &Which,
) -> Result<Vec<BackedUpKey>, DbError> {
    match which {
        Which::All => tx.query(&KEYS, &params![user_num, slot], key),
        Which::Room(room_id) => tx.query(&KEYS_OF_ROOM, &params![user_num, slot, room_id], key),
        Which::Session(room_id, session_id) => {
            tx.query(&KEY, &params![user_num, slot, room_id, session_id], key)
        }
    }
}

/// Stores a key in the slot of a backup.
pub fn put_key(tx: &mut Tx<'_>, user_num: UserNum, slot: i64, key: &BackedUpKey) -> Result<(), DbError> {
    let BackedUpKey { room_id, session_id, first_message_index, forwarded_count, is_verified, session_data } =
        key;
    tx.execute(
        &PUT_KEY,
        &params![
            user_num,
            slot,
            room_id,
            session_id,
            *first_message_index,
            *forwarded_count,
            *is_verified,
            session_data
        ],
    )?;
    Ok(())
}

/// Empties a backup, which stays. [`clear`] deletes the keys.
pub fn delete_all_keys(tx: &mut Tx<'_>, user_num: UserNum, version: i64) -> Result<(), DbError> {
    // No other slot has this number, and no version is below zero.
    let slot = -stream::next(tx)?.get();
    tx.execute(&LEAVE_KEYS, &params![user_num, version])?;
    tx.execute(&SET_SLOT, &params![user_num, version, slot])?;
    Ok(())
}

/// Deletes the keys for a room, or one key, in the slot of a backup; returns the size of each.
pub fn delete_keys(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    slot: i64,
    room_id: &str,
    session_id: Option<&str>,
) -> Result<Vec<i64>, DbError> {
    match session_id {
        None => tx.returning(&DELETE_KEYS_OF_ROOM, &params![user_num, slot, room_id], |row| row.get(0)),
        Some(session_id) => {
            tx.returning(&DELETE_KEY, &params![user_num, slot, room_id, session_id], |row| row.get(0))
        }
    }
}
