//! Pushers: where an account wants its notifications sent.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, Pos, UserNum};

macro_rules! columns {
    () => {
        "app_id, pushkey, kind, app_display_name, device_display_name, profile_tag, lang, data, device_id, enabled"
    };
}

reeve_db::statements! {
    OF_USER = concat!("SELECT ", columns!(), " FROM pushers WHERE user_num = $1 ORDER BY created_ts, app_id, pushkey");
    COUNT = "SELECT count(*) FROM pushers WHERE user_num = $1";
    PUT = concat!("INSERT INTO pushers (", columns!(), ", user_num, created_ts, updated_ts, last_pos, told_unread, marks, \
           failures) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, 0, 0, 0) \
           ON CONFLICT (user_num, app_id, pushkey) DO UPDATE SET kind = excluded.kind, \
           app_display_name = excluded.app_display_name, device_display_name = excluded.device_display_name, \
           profile_tag = excluded.profile_tag, lang = excluded.lang, data = excluded.data, \
           device_id = coalesce(pushers.device_id, excluded.device_id), enabled = excluded.enabled, updated_ts = excluded.updated_ts, \
           failures = 0, failing_since_ts = NULL, due_ts = CASE WHEN pushers.due_ts IS NOT NULL AND pushers.claim IS NULL \
           THEN excluded.updated_ts ELSE pushers.due_ts END");
    DELETE = "DELETE FROM pushers WHERE user_num = $1 AND app_id = $2 AND pushkey = $3";
    DELETE_OF_OTHERS = "DELETE FROM pushers WHERE app_id = $2 AND pushkey = $3 AND user_num <> $1";
    DELETE_OF_DEVICE = "DELETE FROM pushers WHERE user_num = $1 AND device_id = $2";
    EXISTS = "SELECT 1 FROM pushers WHERE user_num = $1 AND app_id = $2 AND pushkey = $3";
    DELETE_WITHOUT_DEVICE = "DELETE FROM pushers WHERE user_num = $1 AND device_id IS NULL";
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
    /// Whether it is switched on.
    pub enabled: bool,
}

pub(crate) fn from_row(row: &Row<'_>) -> Result<Pusher, DbError> {
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

pub(crate) use columns;

/// The pushers of an account, the oldest first.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<Pusher>, DbError> {
    tx.query(&OF_USER, &params![user_num], from_row)
}

/// How many pushers an account has.
pub fn count_of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![user_num], |row| row.get(0))
}

/// Sets a pusher, in place of one with the same application and key, whose device it keeps: another device of the account
/// may have set it. A new one has told everything up to `pos`; one that
/// waits after failures is tried again at once.
pub fn put(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    pusher: &Pusher,
    pos: Pos,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(
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
            now,
            pos
        ],
    )?;
    Ok(())
}

/// Deletes a pusher; answers whether it was there.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, app_id: &str, pushkey: &str) -> Result<bool, DbError> {
    Ok(tx.execute(&DELETE, &params![user_num, app_id, pushkey])? > 0)
}

/// Deletes the pushers of other accounts with the same application and key.
pub fn delete_of_others(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    app_id: &str,
    pushkey: &str,
) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_OTHERS, &params![user_num, app_id, pushkey])
}

/// Deletes the pushers that were set from a device.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_DEVICE, &params![user_num, device_id])
}

/// Whether an account has a pusher with an application and key.
pub fn exists(tx: &ReadTx<'_>, user_num: UserNum, app_id: &str, pushkey: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&EXISTS, &params![user_num, app_id, pushkey], |_| Ok(()))?.is_some())
}

/// Deletes the pushers of an account that were set from no device.
pub fn delete_without_device(tx: &mut Tx<'_>, user_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_WITHOUT_DEVICE, &params![user_num])
}

/// Deletes all pushers of an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])
}
