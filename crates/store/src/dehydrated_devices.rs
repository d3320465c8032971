//! Devices that wait, with keys but without a session, for messages to be read later: one for an account at most.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::UserNum;

reeve_db::statements! {
    OF_USER = "SELECT device_id, device_data FROM dehydrated_devices WHERE user_num = $1";
    PUT = "INSERT INTO dehydrated_devices (user_num, device_id, device_data) VALUES ($1, $2, $3)";
    DELETE = "DELETE FROM dehydrated_devices WHERE user_num = $1 AND device_id = $2";
}

/// The dehydrated device of an account: its id, and what is needed to bring it to life, as JSON.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Option<(String, String)>, DbError> {
    tx.query_opt(&OF_USER, &params![user_num], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Notes which device of an account is dehydrated. It must not have another one.
pub fn put(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str, device_data: &str) -> Result<(), DbError> {
    tx.execute(&PUT, &params![user_num, device_id, device_data])?;
    Ok(())
}

/// Forgets that a device is dehydrated, if it is.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_num, device_id])?;
    Ok(())
}
