//! Devices.

use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, UserNum};
use serde::{Deserialize, Serialize};

use crate::paging::count_of;
use crate::retention::{Ages, Part};
use crate::sql::num_list;

/// The devices that were not seen since `$1`, after a place, of those whose address is stored or not. SQLite takes the lower bound
/// of an expression from a comparison by itself.
macro_rules! unseen {
    ($address:literal) => {
        concat!(
            "SELECT coalesce(last_seen_ts, created_ts), user_num, device_id FROM devices WHERE last_seen_ip ",
            $address,
            " AND coalesce(last_seen_ts, created_ts) < $1 AND coalesce(last_seen_ts, created_ts) >= $2 \
             AND (coalesce(last_seen_ts, created_ts), user_num, device_id) > ($2, $3, $4) \
             ORDER BY coalesce(last_seen_ts, created_ts), user_num, device_id LIMIT $5"
        )
    };
}

reeve_db::statements! {
    FIND = "SELECT device_id, display_name, last_seen_ts, last_seen_ip, last_seen_user_agent FROM devices \
            WHERE user_num = $1 AND device_id = $2";
    OF_USER = "SELECT device_id, display_name, last_seen_ts, last_seen_ip, last_seen_user_agent FROM devices \
               WHERE user_num = $1 ORDER BY device_id";
    CREATED = "SELECT device_id, created_ts FROM devices WHERE user_num = $1";
    /// `$1`: the numbers, in the form of [`num_list`].
    COUNT_OF = {
        sqlite: "SELECT user_num, count(*) FROM json_each($1) w JOIN devices ON user_num = w.value GROUP BY user_num",
        postgres: "SELECT user_num, count(*) FROM devices \
                   WHERE user_num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[])) GROUP BY user_num",
    };
    /// A device that was never seen is as old as itself.
    UNSEEN = "SELECT device_id FROM devices WHERE user_num = $1 AND COALESCE(last_seen_ts, created_ts) < $2 ORDER BY device_id";
    WITH_ADDRESS = unseen!("IS NOT NULL");
    WITHOUT_ADDRESS = unseen!("IS NULL");
    NTH_ADDRESS = "SELECT coalesce(last_seen_ts, created_ts) FROM devices WHERE last_seen_ip IS NOT NULL \
                   AND coalesce(last_seen_ts, created_ts) >= $1 AND coalesce(last_seen_ts, created_ts) < $2 \
                   ORDER BY coalesce(last_seen_ts, created_ts) LIMIT 1 OFFSET $3";
    COUNT_ADDRESSES = "SELECT count(*) FROM devices WHERE last_seen_ip IS NOT NULL \
                       AND coalesce(last_seen_ts, created_ts) >= $1 AND coalesce(last_seen_ts, created_ts) < $2";
    CLEAR_ADDRESSES = "UPDATE devices SET last_seen_ip = NULL WHERE (user_num, device_id) IN (SELECT user_num, device_id \
                       FROM devices WHERE last_seen_ip IS NOT NULL AND coalesce(last_seen_ts, created_ts) < $1 \
                       ORDER BY coalesce(last_seen_ts, created_ts) LIMIT $2)";
    COUNT = "SELECT count(*) FROM (SELECT 1 FROM devices WHERE user_num = $1 LIMIT $2) few";
    INSERT = "INSERT INTO devices (user_num, device_id, display_name, created_ts) VALUES ($1, $2, $3, $4) \
              ON CONFLICT (user_num, device_id) DO NOTHING";
    ADD = "INSERT INTO devices (user_num, device_id, display_name, created_ts, last_seen_ts, last_seen_ip, \
           last_seen_user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    RENAME = "UPDATE devices SET display_name = $3 WHERE user_num = $1 AND device_id = $2";
    TOUCH = "UPDATE devices SET last_seen_ts = $3, last_seen_ip = $4, last_seen_user_agent = $5 \
             WHERE user_num = $1 AND device_id = $2 AND (last_seen_ts IS NULL OR last_seen_ts <= $3)";
    DELETE = "DELETE FROM devices WHERE user_num = $1 AND device_id = $2";
}

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id, unique within the account.
    pub device_id: String,
    /// The name people see.
    pub display_name: Option<String>,
    /// The time at which it was last seen, in milliseconds.
    pub last_seen_ts: Option<Millis>,
    /// The address it was last seen from.
    pub last_seen_ip: Option<String>,
    /// The user agent of its client when it was last seen.
    pub last_seen_user_agent: Option<String>,
}

fn from_row(row: &reeve_db::Row<'_>) -> Result<Device, DbError> {
    Ok(Device {
        device_id: row.get(0)?,
        display_name: row.get(1)?,
        last_seen_ts: row.get(2)?,
        last_seen_ip: row.get(3)?,
        last_seen_user_agent: row.get(4)?,
    })
}

/// Returns one device of an account.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str) -> Result<Option<Device>, DbError> {
    tx.query_opt(&FIND, &params![user_num, device_id], from_row)
}

/// Returns all devices of an account, by device id.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<Device>, DbError> {
    tx.query(&OF_USER, &params![user_num], from_row)
}

/// Returns the ids of the devices of an account that were not seen since a time.
pub fn unseen_since(tx: &ReadTx<'_>, user_num: UserNum, ts: Millis) -> Result<Vec<String>, DbError> {
    tx.query(&UNSEEN, &params![user_num, ts], |row| row.get(0))
}

/// Returns the times at which the devices of an account were created, by their ids.
pub fn created(tx: &ReadTx<'_>, user_num: UserNum) -> Result<HashMap<String, Millis>, DbError> {
    let created = tx.query(&CREATED, &params![user_num], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(created.into_iter().collect())
}

/// Devices by when they were seen, in two lists: those whose address is stored come first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct UnseenPlace {
    /// True in the second list.
    pub without_address: bool,
    /// The time at which a device was seen; if never, at which it was made.
    pub seen_ts: Millis,
    /// The number of its account.
    pub user_num: UserNum,
    /// Its id.
    pub device_id: String,
}

/// Returns the places of some devices of all accounts that were not seen since a time, after a place. The list ends with a
/// page that is not full.
pub fn unseen(
    tx: &ReadTx<'_>,
    since: Millis,
    after: &UnseenPlace,
    limit: i64,
) -> Result<Vec<UnseenPlace>, DbError> {
    let read = |after: &UnseenPlace, limit: i64| {
        let without_address = after.without_address;
        let statement = if without_address { &WITHOUT_ADDRESS } else { &WITH_ADDRESS };
        let params = params![since, after.seen_ts, after.user_num, after.device_id, limit];
        tx.query(statement, &params, |row| {
            Ok(UnseenPlace {
                without_address,
                seen_ts: row.get(0)?,
                user_num: row.get(1)?,
                device_id: row.get(2)?,
            })
        })
    };
    let mut page = read(after, limit)?;
    let room = limit - count_of(&page);
    if room > 0 && !after.without_address {
        page.extend(read(&UnseenPlace { without_address: true, ..UnseenPlace::default() }, room)?);
    }
    Ok(page)
}

/// Counts about `most` of the devices with an address that were seen from a time on and before another.
pub fn count_addresses(tx: &ReadTx<'_>, from: Millis, before: Millis, most: i64) -> Result<Part, DbError> {
    Ages { nth: &NTH_ADDRESS, count: &COUNT_ADDRESSES }.part(tx, from, before, most)
}

/// Removes the addresses of up to `most` devices that were seen before a time; returns their number.
pub fn clear_addresses(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<u64, DbError> {
    tx.execute(&CLEAR_ADDRESSES, &params![before, most])
}

/// Returns the number of devices of an account, counted up to `most`.
pub fn count_of_user(tx: &ReadTx<'_>, user_num: UserNum, most: i64) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![user_num, most], |row| row.get(0))
}

/// Returns the numbers of devices of some accounts; accounts without any are left out.
pub fn count_of_users(tx: &ReadTx<'_>, nums: &[UserNum]) -> Result<HashMap<UserNum, i64>, DbError> {
    let counted =
        tx.query(&COUNT_OF, &params![num_list(tx.engine(), nums)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(counted.into_iter().collect())
}

/// Creates a device unless it exists; returns true if it is new.
pub fn insert(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    display_name: Option<&str>,
    now: Millis,
) -> Result<bool, DbError> {
    Ok(tx.execute(&INSERT, &params![user_num, device_id, display_name, now])? > 0)
}

/// Adds a device of an import, which must not exist.
pub fn add(tx: &mut Tx<'_>, user_num: UserNum, device: &Device, created_ts: Millis) -> Result<(), DbError> {
    tx.execute(
        &ADD,
        &params![
            user_num,
            &device.device_id,
            &device.display_name,
            created_ts,
            device.last_seen_ts,
            &device.last_seen_ip,
            &device.last_seen_user_agent
        ],
    )?;
    Ok(())
}

/// Renames a device; returns true if it exists.
pub fn rename(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    display_name: Option<&str>,
) -> Result<bool, DbError> {
    Ok(tx.execute(&RENAME, &params![user_num, device_id, display_name])? > 0)
}

/// Stores when and from where a device was seen.
pub fn touch(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    ts: Millis,
    ip: &str,
    user_agent: &str,
) -> Result<(), DbError> {
    tx.execute(&TOUCH, &params![user_num, device_id, ts, ip, user_agent])?;
    Ok(())
}

/// Deletes a device; returns true if it existed. The deed deletes dependent rows.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<bool, DbError> {
    Ok(tx.execute(&DELETE, &params![user_num, device_id])? > 0)
}
