//! Pushers: where an account wants its notifications sent.
//!
//! The cursor, the marks and the claim of a pusher are in its delivery ([`crate::deliveries`]).

use reeve_db::{DbError, ReadTx, Row, Statement, Tx, Value, params};
use reeve_model::{DeliveryKind, Millis, Pos, PusherNum, UserNum};

use crate::deliveries;

macro_rules! columns {
    () => {
        "app_id, pushkey, kind, app_display_name, device_display_name, profile_tag, lang, data, device_id, enabled"
    };
}

reeve_db::statements! {
    OF_USER = concat!("SELECT ", columns!(), " FROM pushers WHERE user_num = $1 ORDER BY created_ts, app_id, pushkey");
    COUNT = "SELECT count(*) FROM pushers WHERE user_num = $1";
    BY_NUM = concat!("SELECT ", columns!(), ", user_num, updated_ts, told_unread FROM pushers WHERE num = $1");
    EXISTS = "SELECT 1 FROM pushers WHERE user_num = $1 AND app_id = $2 AND pushkey = $3";
    PUT = concat!("INSERT INTO pushers (", columns!(), ", user_num, created_ts, updated_ts, told_unread) \
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, 0) \
           ON CONFLICT (user_num, app_id, pushkey) DO UPDATE SET kind = excluded.kind, \
           app_display_name = excluded.app_display_name, device_display_name = excluded.device_display_name, \
           profile_tag = excluded.profile_tag, lang = excluded.lang, data = excluded.data, \
           device_id = coalesce(pushers.device_id, excluded.device_id), enabled = excluded.enabled, \
           updated_ts = excluded.updated_ts RETURNING num");
    SET_DELIVERED_UNREAD = "UPDATE pushers SET told_unread = $2 WHERE num = $1";
    DELETE = "DELETE FROM pushers WHERE user_num = $1 AND app_id = $2 AND pushkey = $3 RETURNING num";
    DELETE_BY_NUM = "DELETE FROM pushers WHERE num = $1 RETURNING num";
    DELETE_OF_OTHERS = "DELETE FROM pushers WHERE app_id = $2 AND pushkey = $3 AND user_num <> $1 RETURNING num";
    DELETE_OF_DEVICE = "DELETE FROM pushers WHERE user_num = $1 AND device_id = $2 RETURNING num";
    DELETE_WITHOUT_DEVICE = "DELETE FROM pushers WHERE user_num = $1 AND device_id IS NULL RETURNING num";
    DELETE_OF_USER = "DELETE FROM pushers WHERE user_num = $1 RETURNING num";
}

/// A pusher of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pusher {
    /// The application.
    pub app_id: String,
    /// The device's address at the push gateway, or an e-mail address.
    pub pushkey: String,
    /// `http` or `email`.
    pub kind: String,
    /// The name of the application, for people.
    pub app_display_name: String,
    /// The name of the device, for people.
    pub device_display_name: String,
    /// The set of rules that applies; blank for the usual ones.
    pub profile_tag: String,
    /// The language of notifications.
    pub lang: String,
    /// The data that the pusher needs, as JSON.
    pub data: String,
    /// The device it was set from.
    pub device_id: Option<String>,
    /// True if it is switched on.
    pub enabled: bool,
}

/// A pusher, with what only its delivery needs to know.
#[derive(Clone, Debug)]
pub struct StoredPusher {
    /// Its number.
    pub num: PusherNum,
    /// The account.
    pub user_num: UserNum,
    /// The pusher.
    pub pusher: Pusher,
    /// The time at which its key was last set.
    pub updated_ts: Millis,
    /// The unread count in the last notification that was delivered to it.
    pub delivered_unread: i64,
}

fn from_row(row: &Row<'_>) -> Result<Pusher, DbError> {
    Ok(Pusher {
        app_id: row.get(0)?,
        pushkey: row.get(1)?,
        kind: row.get(2)?,
        app_display_name: row.get(3)?,
        device_display_name: row.get(4)?,
        profile_tag: row.get(5)?,
        lang: row.get(6)?,
        data: row.get(7)?,
        device_id: row.get(8)?,
        enabled: row.get(9)?,
    })
}

/// Returns the pushers of an account, the oldest first.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<Pusher>, DbError> {
    tx.query(&OF_USER, &params![user_num], from_row)
}

/// Returns the number of pushers of an account.
pub fn count_of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![user_num], |row| row.get(0))
}

/// Sets a pusher, in place of one with the same application and key, whose device it keeps: another device of the account
/// may have set it. A new one begins after `pos`; one that waits, after a failure or otherwise, is due at
/// once.
pub fn put(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    pusher: &Pusher,
    pos: Pos,
    now: Millis,
) -> Result<(), DbError> {
    let nums = tx.returning(
        &PUT,
        &params![
            &pusher.app_id,
            &pusher.pushkey,
            &pusher.kind,
            &pusher.app_display_name,
            &pusher.device_display_name,
            &pusher.profile_tag,
            &pusher.lang,
            &pusher.data,
            &pusher.device_id,
            pusher.enabled,
            user_num,
            now
        ],
        |row| row.get::<PusherNum>(0),
    )?;
    nums.into_iter().try_for_each(|num| deliveries::put(tx, DeliveryKind::Push, num, pos, now))
}

/// Returns a pusher; [`DbError::NoRow`] if there is none.
pub fn by_num(tx: &ReadTx<'_>, num: PusherNum) -> Result<StoredPusher, DbError> {
    tx.query_one(&BY_NUM, &params![num], |row| {
        Ok(StoredPusher {
            num,
            pusher: from_row(row)?,
            user_num: row.get(10)?,
            updated_ts: row.get(11)?,
            delivered_unread: row.get(12)?,
        })
    })
}

/// Returns true if an account has a pusher with an application and key.
pub fn exists(tx: &ReadTx<'_>, user_num: UserNum, app_id: &str, pushkey: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&EXISTS, &params![user_num, app_id, pushkey], |_| Ok(()))?.is_some())
}

/// Stores the unread count in a notification that was delivered to a pusher.
pub fn set_delivered_unread(tx: &mut Tx<'_>, num: PusherNum, unread: i64) -> Result<(), DbError> {
    tx.execute(&SET_DELIVERED_UNREAD, &params![num, unread])?;
    Ok(())
}

/// Deletes a pusher.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, app_id: &str, pushkey: &str) -> Result<(), DbError> {
    delete_with(tx, &DELETE, &params![user_num, app_id, pushkey])
}

/// Deletes a pusher by its number.
pub fn delete_by_num(tx: &mut Tx<'_>, num: PusherNum) -> Result<(), DbError> {
    delete_with(tx, &DELETE_BY_NUM, &params![num])
}

/// Deletes the pushers of other accounts with the same application and key.
pub fn delete_of_others(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    app_id: &str,
    pushkey: &str,
) -> Result<(), DbError> {
    delete_with(tx, &DELETE_OF_OTHERS, &params![user_num, app_id, pushkey])
}

/// Deletes the pushers that were set from a device.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    delete_with(tx, &DELETE_OF_DEVICE, &params![user_num, device_id])
}

/// Deletes the pushers of an account that were set from no device.
pub fn delete_without_device(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    delete_with(tx, &DELETE_WITHOUT_DEVICE, &params![user_num])
}

/// Deletes all pushers of an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    delete_with(tx, &DELETE_OF_USER, &params![user_num])
}

/// Deletes pushers, each with its delivery, by a statement that returns their numbers. No pusher is deleted otherwise.
fn delete_with(tx: &mut Tx<'_>, statement: &'static Statement, params: &[Value<'_>]) -> Result<(), DbError> {
    let nums = tx.returning(statement, params, |row| row.get::<PusherNum>(0))?;
    deliveries::delete(tx, DeliveryKind::Push, &nums)
}
