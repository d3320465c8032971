//! Backups of room keys, encrypted by clients.
//! <https://spec.matrix.org/v1.18/client-server-api/#server-side-key-backups>

use std::cmp::Reverse;

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::UserNum;
use reeve_store::key_backups::{self, BackedUpKey, Backup, Which};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::keys::to_json;
use crate::policy::Limits;

/// The number of keys of deleted backups that one step deletes.
const CLEARED_AT_ONCE: i64 = 1000;
/// Maximum lengths of the authentication data of a backup, of an encrypted key, and of the ids of rooms and sessions,
/// in bytes.
const MAX_AUTH_DATA_LEN: usize = 64 * 1024;
const MAX_KEY_LEN: usize = 16 * 1024;
const MAX_NAME_LEN: usize = 255;

const NO_BACKUP: Error = Error::BackupNotFound("Unknown backup version");

/// The size of a backup, which clients learn after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The number of keys.
    pub count: i64,
    /// A value that changes with the keys.
    pub etag: i64,
}

impl From<&Backup> for Extent {
    fn from(backup: &Backup) -> Self {
        Self { count: backup.keys, etag: backup.etag }
    }
}

/// Returns the newest backup.
pub fn latest(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Backup, Error> {
    key_backups::latest(tx, user_num)?.ok_or(Error::BackupNotFound("No current backup version"))
}

/// Returns a backup by its version, as clients write it.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum, version: &str) -> Result<Backup, Error> {
    let version: i64 = version.parse().map_err(|_| NO_BACKUP)?;
    key_backups::find(tx, user_num, version)?.ok_or(NO_BACKUP)
}

/// Creates a backup and returns its version. Older ones stay, but get no more keys.
pub fn create(
    tx: &mut Tx<'_>,
    limits: &Limits,
    user_num: UserNum,
    algorithm: &str,
    auth_data: &Map<String, Value>,
) -> Result<i64, Error> {
    if key_backups::live(tx, user_num)?.backups >= limits.key_backups {
        return Err(Error::too_many("An account", limits.key_backups, "backups"));
    }
    if algorithm.len() > MAX_NAME_LEN {
        return Err(Error::too_long("The algorithm of a backup", MAX_NAME_LEN));
    }
    Ok(key_backups::insert(tx, user_num, algorithm, &checked(auth_data)?)?)
}

/// Checks the authentication data and returns it as JSON.
fn checked(auth_data: &Map<String, Value>) -> Result<String, Error> {
    let auth_data = to_json(auth_data)?;
    if auth_data.len() > MAX_AUTH_DATA_LEN {
        return Err(Error::too_long("'auth_data'", MAX_AUTH_DATA_LEN));
    }
    Ok(auth_data)
}

/// The new authentication data of a backup.
#[derive(Clone, Copy, Debug)]
pub struct BackupUpdate<'a> {
    /// The algorithm, which must be the present one.
    pub algorithm: &'a str,
    /// The version, if it is given, which must be the present one.
    pub version: Option<&'a str>,
    /// The data with which clients encrypt more keys.
    pub auth_data: &'a Map<String, Value>,
}

/// Replaces the authentication data of a backup.
pub fn update(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    version: &str,
    update: BackupUpdate<'_>,
) -> Result<(), Error> {
    let backup = find(tx, user_num, version)?;
    if update.version.is_some_and(|given| given != version) {
        return Err(Error::OtherKeys("Version in body does not match version in path"));
    }
    if backup.algorithm != update.algorithm {
        return Err(Error::OtherKeys("Algorithm does not match"));
    }
    Ok(key_backups::set_auth_data(tx, user_num, backup.version, &checked(update.auth_data)?)?)
}

/// Deletes a backup. It is no error if it was deleted before.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, version: &str) -> Result<(), Error> {
    let version: i64 = version.parse().map_err(|_| NO_BACKUP)?;
    if key_backups::delete(tx, user_num, version)? || key_backups::was_deleted(tx, user_num, version)? {
        Ok(())
    } else {
        Err(NO_BACKUP)
    }
}

/// Deletes a part of the keys of deleted backups; returns true if there may be more.
pub fn clear(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    key_backups::clear(tx, CLEARED_AT_ONCE)
}

/// A key as a client sends it, each part under its name in the request.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The index of the first message that it decrypts.
    pub first_message_index: Option<&'a Value>,
    /// The number of times that it was forwarded.
    pub forwarded_count: Option<&'a Value>,
    /// True if it comes from a verified device.
    pub is_verified: Option<&'a Value>,
    /// The encrypted key.
    pub session_data: Option<&'a Value>,
}

/// Reads a key.
pub fn read_key(room_id: &str, session_id: &str, sent: Sent<'_>) -> Result<BackedUpKey, Error> {
    let bad = |name: &str| Error::BadKeys(format!("'{name}' of a room key is missing or not right"));
    let number = |name: &str, value: Option<&Value>| {
        let number = value.and_then(Value::as_i64).filter(|number| *number >= 0);
        number.ok_or_else(|| bad(name))
    };
    let session_data = sent.session_data.filter(|data| data.is_object());
    let session_data = to_json(session_data.ok_or_else(|| bad("session_data"))?)?;
    if session_data.len() > MAX_KEY_LEN || room_id.len() > MAX_NAME_LEN || session_id.len() > MAX_NAME_LEN {
        return Err(Error::too_long("A room key", MAX_KEY_LEN));
    }
    Ok(BackedUpKey {
        room_id: room_id.to_owned(),
        session_id: session_id.to_owned(),
        first_message_index: number("first_message_index", sent.first_message_index)?,
        forwarded_count: number("forwarded_count", sent.forwarded_count)?,
        is_verified: sent.is_verified.and_then(Value::as_bool).ok_or_else(|| bad("is_verified"))?,
        session_data,
    })
}

/// The sort key by which a key is better than another one: the greater, the better.
fn worth(key: &BackedUpKey) -> (bool, Reverse<i64>, Reverse<i64>) {
    (key.is_verified, Reverse(key.first_message_index), Reverse(key.forwarded_count))
}

/// Adds keys to the newest backup. A better key for the same session replaces a worse one.
pub fn put_keys(
    tx: &mut Tx<'_>,
    limits: &Limits,
    user_num: UserNum,
    version: &str,
    keys: &[BackedUpKey],
) -> Result<Extent, Error> {
    let latest = key_backups::latest(tx, user_num)?.ok_or(NO_BACKUP)?;
    if latest.version.to_string() != version {
        let given: i64 = version.parse().map_err(|_| NO_BACKUP)?;
        let was_there = key_backups::find(tx, user_num, given)?.is_some()
            || key_backups::was_deleted(tx, user_num, given)?;
        return Err(if was_there {
            Error::WrongBackupVersion(latest.version.to_string())
        } else {
            NO_BACKUP
        });
    }
    let (mut added, mut bytes, mut replaced) = (0, 0, false);
    let length = |key: &BackedUpKey| i64::try_from(key.session_data.len()).unwrap_or(i64::MAX);
    for key in keys {
        let which = Which::Session(key.room_id.clone(), key.session_id.clone());
        match key_backups::keys(tx, user_num, latest.slot, &which)?.pop() {
            Some(old) if worth(key) <= worth(&old) => continue,
            Some(old) => {
                replaced = true;
                bytes -= length(&old);
            }
            None => added += 1,
        }
        bytes += length(key);
        key_backups::put_key(tx, user_num, latest.slot, key)?;
    }
    if added > 0 || replaced {
        key_backups::count(tx, user_num, latest.version, added, bytes)?;
    }
    if added > 0 || bytes > 0 {
        let live = key_backups::live(tx, user_num)?;
        if live.keys > limits.backed_up_keys {
            return Err(Error::too_many("An account", limits.backed_up_keys, "backed up keys"));
        }
        if live.bytes > limits.key_backup_bytes {
            return Err(Error::TooLong { what: "The backups of an account", most: limits.key_backup_bytes });
        }
    }
    Ok(Extent::from(&find(tx, user_num, version)?))
}

/// Returns keys of a backup.
pub fn keys(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    version: &str,
    which: &Which,
) -> Result<Vec<BackedUpKey>, Error> {
    let backup = find(tx, user_num, version)?;
    let keys = key_backups::keys(tx, user_num, backup.slot, which)?;
    if keys.is_empty() && matches!(which, Which::Session(..)) {
        return Err(Error::BackupNotFound("Key not found."));
    }
    Ok(keys)
}

/// Deletes keys of a backup.
pub fn delete_keys(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    version: &str,
    which: &Which,
) -> Result<Extent, Error> {
    let backup = find(tx, user_num, version)?;
    let deleted = match which {
        Which::All => {
            if backup.keys > 0 {
                key_backups::delete_all_keys(tx, user_num, backup.version)?;
            }
            Vec::new()
        }
        Which::Room(room_id) => key_backups::delete_keys(tx, user_num, backup.slot, room_id, None)?,
        Which::Session(room_id, session_id) => {
            key_backups::delete_keys(tx, user_num, backup.slot, room_id, Some(session_id))?
        }
    };
    if !deleted.is_empty() {
        let added = -i64::try_from(deleted.len()).unwrap_or(backup.keys);
        key_backups::count(tx, user_num, backup.version, added, -deleted.iter().sum::<i64>())?;
    }
    Ok(Extent::from(&find(tx, user_num, version)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(is_verified: bool, first_message_index: i64, forwarded_count: i64) -> BackedUpKey {
        BackedUpKey {
            room_id: String::new(),
            session_id: String::new(),
            first_message_index,
            forwarded_count,
            is_verified,
            session_data: "{}".to_owned(),
        }
    }

    #[test]
    fn the_better_key() {
        let from_the_best =
            [key(true, 1, 1), key(true, 1, 2), key(true, 2, 0), key(false, 0, 0), key(false, 0, 9)];
        assert!(from_the_best.is_sorted_by(|better, worse| worth(better) > worth(worse)));
        assert_eq!(worth(&key(true, 1, 1)), worth(&key(true, 1, 1)));
    }
}
