//! Dehydrated devices: they have keys and no session, and receive messages to be read later. An account has one at
//! most.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::UserNum;

reeve_db::statements! {
    OF_USER = "SELECT device_id, device_data FROM dehydrated_devices WHERE user_num = $1";
    PUT = "INSERT INTO dehydrated_devices (user_num, device_id, device_data) VALUES ($1, $2, $3)";
    DELETE = "DELETE FROM dehydrated_devices WHERE user_num = $1 AND device_id = $2";
}

/// A dehydrated device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DehydratedDevice {
    /// Its id.
    pub device_id: String,
    /// The data with which a client rehydrates it, as JSON.
    pub device_data: String,
}

/// Returns the dehydrated device of an account.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Option<DehydratedDevice>, DbError> {
    tx.query_opt(&OF_USER, &params![user_num], |row| {
        Ok(DehydratedDevice { device_id: row.get(0)?, device_data: row.get(1)? })
    })
}

/// Adds the dehydrated device of an account that has none.
pub fn put(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str, device_data: &str) -> Result<(), DbError> {
    tx.execute(&PUT, &params![user_num, device_id, device_data])?;
    Ok(())
}

/// Lets a device not be dehydrated, if it is.
pub fn delete_of_device(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_num, device_id])?;
    Ok(())
}
