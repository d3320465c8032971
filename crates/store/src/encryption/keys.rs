//! Keys of devices: identity keys, one-time keys and fallback keys; and one-time keys that were claimed (table
//! `given_keys`).

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, UserNum};

reeve_db::statements! {
    FIND = "SELECT json FROM device_keys WHERE user_num = $1 AND device_id = $2";
    OF_USER = "SELECT k.device_id, k.json, d.display_name FROM device_keys k \
               JOIN devices d ON d.user_num = k.user_num AND d.device_id = k.device_id \
               WHERE k.user_num = $1 ORDER BY k.device_id";
    PUT = "INSERT INTO device_keys (user_num, device_id, json) VALUES ($1, $2, $3) \
           ON CONFLICT (user_num, device_id) DO UPDATE SET json = excluded.json";
    DELETE = "DELETE FROM device_keys WHERE user_num = $1 AND device_id = $2";
    ONE_TIME_KEY = "SELECT json FROM one_time_keys WHERE user_num = $1 AND device_id = $2 AND algorithm = $3 AND key_id = $4";
    INSERT_ONE_TIME = "INSERT INTO one_time_keys (user_num, device_id, algorithm, key_id, json) VALUES ($1, $2, $3, $4, $5)";
    COUNT_ONE_TIME = "SELECT algorithm, count(*) FROM one_time_keys WHERE user_num = $1 AND device_id = $2 \
                      GROUP BY algorithm ORDER BY algorithm";
    TAKE_ONE_TIME = {
        sqlite: "DELETE FROM one_time_keys WHERE num = (SELECT num FROM one_time_keys WHERE user_num = $1 \
                 AND device_id = $2 AND algorithm = $3 ORDER BY num LIMIT 1) RETURNING key_id, json",
        // Concurrent claims take the next key instead of waiting.
        postgres: "DELETE FROM one_time_keys WHERE num = (SELECT num FROM one_time_keys WHERE user_num = $1 \
                   AND device_id = $2 AND algorithm = $3 ORDER BY num LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING key_id, json",
    };
    NOTE_CLAIMED = "INSERT INTO given_keys (user_num, device_id, algorithm, key_id, given_ts) VALUES ($1, $2, $3, $4, $5) \
                  ON CONFLICT (user_num, device_id, algorithm, key_id) DO UPDATE SET given_ts = excluded.given_ts";
    WAS_CLAIMED = "SELECT 1 FROM given_keys WHERE user_num = $1 AND device_id = $2 AND algorithm = $3 AND key_id = $4";
    DELETE_CLAIMED = "DELETE FROM given_keys WHERE user_num = $1 AND device_id = $2";
    PRUNE_CLAIMED = "DELETE FROM given_keys WHERE (user_num, device_id, algorithm, key_id) IN \
                   (SELECT user_num, device_id, algorithm, key_id FROM given_keys WHERE given_ts < $1 LIMIT $2)";
    DELETE_ONE_TIME = "DELETE FROM one_time_keys WHERE user_num = $1 AND device_id = $2";
    // A fallback key that was claimed stays used when it is uploaded again.
    PUT_FALLBACK = "INSERT INTO fallback_keys (user_num, device_id, algorithm, key_id, json, used) \
                    VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (user_num, device_id, algorithm) DO UPDATE SET \
                    used = CASE WHEN fallback_keys.key_id = excluded.key_id AND fallback_keys.json = excluded.json \
                    THEN fallback_keys.used ELSE 0 END, key_id = excluded.key_id, json = excluded.json";
    USE_FALLBACK = "UPDATE fallback_keys SET used = 1 WHERE user_num = $1 AND device_id = $2 AND algorithm = $3 \
                    RETURNING key_id, json";
    UNUSED_FALLBACK = "SELECT algorithm FROM fallback_keys WHERE user_num = $1 AND device_id = $2 AND used = 0 ORDER BY algorithm";
    COUNT_FALLBACK = "SELECT count(*) FROM fallback_keys WHERE user_num = $1 AND device_id = $2";
    DELETE_FALLBACK = "DELETE FROM fallback_keys WHERE user_num = $1 AND device_id = $2";
}

/// The identity keys of a device, with its display name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKeys {
    /// The device.
    pub device_id: String,
    /// Its keys, as JSON.
    pub json: String,
    /// The display name.
    pub display_name: Option<String>,
}

/// A key that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedKey {
    /// Its id, without the algorithm.
    pub key_id: String,
    /// The key, as JSON.
    pub json: String,
}

fn claimed(row: &Row<'_>) -> Result<ClaimedKey, DbError> {
    Ok(ClaimedKey { key_id: row.get(0)?, json: row.get(1)? })
}

/// Returns the identity keys of one device, as JSON.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str) -> Result<Option<String>, DbError> {
    tx.query_opt(&FIND, &params![user_num, device_id], |row| row.get(0))
}

/// Returns the identity keys of all devices of an account that have any, by device id.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<DeviceKeys>, DbError> {
    tx.query(&OF_USER, &params![user_num], |row| {
        Ok(DeviceKeys { device_id: row.get(0)?, json: row.get(1)?, display_name: row.get(2)? })
    })
}

/// Sets the identity keys of a device, given as JSON.
pub fn put(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str, json: &str) -> Result<(), DbError> {
    tx.execute(&PUT, &params![user_num, device_id, json])?;
    Ok(())
}

/// Deletes all keys of a device.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_num, device_id])?;
    delete_claimable(tx, user_num, device_id)
}

/// Deletes the one-time and fallback keys of a device, and the records of claimed ones.
pub fn delete_claimable(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE_ONE_TIME, &params![user_num, device_id])?;
    tx.execute(&DELETE_CLAIMED, &params![user_num, device_id])?;
    tx.execute(&DELETE_FALLBACK, &params![user_num, device_id])?;
    Ok(())
}

/// Returns a one-time key that was not claimed, as JSON.
pub fn one_time_key(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    device_id: &str,
    algorithm: &str,
    key_id: &str,
) -> Result<Option<String>, DbError> {
    tx.query_opt(&ONE_TIME_KEY, &params![user_num, device_id, algorithm, key_id], |row| row.get(0))
}

/// Stores a one-time key, given as JSON.
pub fn insert_one_time(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    algorithm: &str,
    key_id: &str,
    json: &str,
) -> Result<(), DbError> {
    tx.execute(&INSERT_ONE_TIME, &params![user_num, device_id, algorithm, key_id, json])?;
    Ok(())
}

/// Returns the numbers of one-time keys of a device, by algorithm.
pub fn count_one_time(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    device_id: &str,
) -> Result<Vec<(String, i64)>, DbError> {
    tx.query(&COUNT_ONE_TIME, &params![user_num, device_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Deletes the oldest one-time key of a device, records that it was claimed, and returns it.
pub fn take_one_time(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    algorithm: &str,
    now: Millis,
) -> Result<Option<ClaimedKey>, DbError> {
    let taken = tx.returning(&TAKE_ONE_TIME, &params![user_num, device_id, algorithm], claimed)?.pop();
    if let Some(ClaimedKey { key_id, .. }) = &taken {
        tx.execute(&NOTE_CLAIMED, &params![user_num, device_id, algorithm, key_id, now])?;
    }
    Ok(taken)
}

/// Returns true if a one-time key of a device was claimed.
pub fn was_claimed(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    device_id: &str,
    algorithm: &str,
    key_id: &str,
) -> Result<bool, DbError> {
    let found = tx.query_opt(&WAS_CLAIMED, &params![user_num, device_id, algorithm, key_id], |_| Ok(()))?;
    Ok(found.is_some())
}

/// Deletes up to `most` records of one-time keys that were claimed before a time; returns their number.
pub fn prune_claimed(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<u64, DbError> {
    tx.execute(&PRUNE_CLAIMED, &params![before, most])
}

/// Returns the number of algorithms for which a device has a fallback key.
pub fn count_fallback(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str) -> Result<i64, DbError> {
    tx.query_one(&COUNT_FALLBACK, &params![user_num, device_id], |row| row.get(0))
}

/// Sets the fallback key of a device for an algorithm, given as JSON.
pub fn put_fallback(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    algorithm: &str,
    key_id: &str,
    json: &str,
) -> Result<(), DbError> {
    tx.execute(&PUT_FALLBACK, &params![user_num, device_id, algorithm, key_id, json])?;
    Ok(())
}

/// Marks the fallback key of a device for an algorithm as used and returns it.
pub fn use_fallback(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    algorithm: &str,
) -> Result<Option<ClaimedKey>, DbError> {
    Ok(tx.returning(&USE_FALLBACK, &params![user_num, device_id, algorithm], claimed)?.pop())
}

/// Returns the algorithms for which a device has a fallback key that was not claimed.
pub fn unused_fallback(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str) -> Result<Vec<String>, DbError> {
    tx.query(&UNUSED_FALLBACK, &params![user_num, device_id], |row| row.get(0))
}
