//! Pushers: where an account wants its notifications sent.

use reeve_db::{DbError, ReadTx, Tx, params};

reeve_db::statements! {
    OF_USER = "SELECT app_id, pushkey, kind, app_display_name, device_display_name, profile_tag, lang, data, device_id \
               FROM pushers WHERE user_num = $1 ORDER BY created_ts, app_id, pushkey";
    COUNT = "SELECT count(*) FROM pushers WHERE user_num = $1";
    PUT = "INSERT INTO pushers (user_num, app_id, pushkey, kind, app_display_name, device_display_name, profile_tag, \
           lang, data, device_id, created_ts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
           ON CONFLICT (user_num, app_id, pushkey) DO UPDATE SET kind = excluded.kind, \
           app_display_name = excluded.app_display_name, device_display_name = excluded.device_display_name, \
           profile_tag = excluded.profile_tag, lang = excluded.lang, data = excluded.data, \
           device_id = excluded.device_id";
    DELETE = "DELETE FROM pushers WHERE user_num = $1 AND app_id = $2 AND pushkey = $3";
    DELETE_OF_OTHERS = "DELETE FROM pushers WHERE app_id = $2 AND pushkey = $3 AND user_num <> $1";
    DELETE_OF_DEVICE = "DELETE FROM pushers WHERE user_num = $1 AND device_id = $2";
    DELETE_OF_USER = "DELETE FROM pushers WHERE user_num = $1";
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
    /// What people call the application.
    pub app_display_name: String,
    /// What people call the device.
    pub device_display_name: String,
    /// Which rules apply; blank for the usual ones.
    pub profile_tag: String,
    /// The language of notifications.
    pub lang: String,
    /// What the pusher needs, as JSON.
    pub data: String,
    /// The device it was set from.
    pub device_id: Option<String>,
}

/// The pushers of an account, the oldest first.
pub fn of_user(tx: &ReadTx<'_>, user_num: i64) -> Result<Vec<Pusher>, DbError> {
    tx.query(&OF_USER, &params![user_num], |row| {
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
        })
    })
}

/// How many pushers an account has.
pub fn count_of_user(tx: &ReadTx<'_>, user_num: i64) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![user_num], |row| row.get(0))
}

/// Sets a pusher, in place of one with the same application and key.
pub fn put(tx: &mut Tx<'_>, user_num: i64, pusher: &Pusher, now: i64) -> Result<(), DbError> {
    tx.execute(
        &PUT,
        &params![
            user_num,
            &pusher.app_id,
            &pusher.pushkey,
            &pusher.kind,
            &pusher.app_display_name,
            &pusher.device_display_name,
            &pusher.profile_tag,
            &pusher.lang,
            &pusher.data,
            &pusher.device_id,
            now
        ],
    )?;
    Ok(())
}

/// Deletes a pusher; answers whether it was there.
pub fn delete(tx: &mut Tx<'_>, user_num: i64, app_id: &str, pushkey: &str) -> Result<bool, DbError> {
    Ok(tx.execute(&DELETE, &params![user_num, app_id, pushkey])? > 0)
}

/// Deletes the pushers of other accounts with the same application and key.
pub fn delete_of_others(tx: &mut Tx<'_>, user_num: i64, app_id: &str, pushkey: &str) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_OTHERS, &params![user_num, app_id, pushkey])
}

/// Deletes the pushers that were set from a device.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: i64, device_id: &str) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_DEVICE, &params![user_num, device_id])
}

/// Deletes all pushers of an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: i64) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])
}
