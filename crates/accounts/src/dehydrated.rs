//! Dehydrated devices: they have keys and no session, and receive room keys while the user has no other device.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>

use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, User, UserNum};
use reeve_store::dehydrated_devices::DehydratedDevice;
use reeve_store::{dehydrated_devices, devices as rows};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::keys::{self, Upload, to_json};
use crate::policy::Limits;
use crate::{devices, sessions};

const NONE: Error = Error::KeyNotFound("No dehydrated device available");

/// A dehydrated device to store.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Its id, which the client chose.
    pub device_id: String,
    /// Its display name.
    pub display_name: Option<String>,
    /// The data with which a client rehydrates it.
    pub device_data: Map<String, Value>,
    /// Its keys.
    pub keys: Upload,
}

/// Returns the dehydrated device of an account.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum) -> Result<DehydratedDevice, Error> {
    dehydrated_devices::of_user(tx, user_num)?.ok_or(NONE)
}

/// Stores a dehydrated device in place of the former one.
pub fn put(tx: &mut Tx<'_>, ctx: &Ctx, limits: &Limits, user: &User, new: &NewDevice) -> Result<(), Error> {
    if !new.keys.has_device_keys() {
        return Err(Error::BadKeys("'device_keys' is missing".to_owned()));
    }
    sessions::check(&sessions::NewSession {
        device_id: Some(new.device_id.clone()),
        initial_device_display_name: new.display_name.clone(),
        refreshable: false,
    })?;
    if let Some(old) = dehydrated_devices::of_user(tx, user.num)? {
        devices::delete(tx, user.num, &old.device_id)?;
    }
    if rows::find(tx, user.num, &new.device_id)?.is_some() {
        return Err(Error::DeviceIdInUse);
    }
    devices::insert(tx, ctx, limits, user.num, &new.device_id, new.display_name.as_deref())?;
    dehydrated_devices::put(tx, user.num, &new.device_id, &to_json(&new.device_data)?)?;
    keys::upload(tx, limits, user.num, &new.device_id, &new.keys)?;
    Ok(())
}

/// Deletes the dehydrated device and returns its id.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum) -> Result<String, Error> {
    let device_id = find(tx, user_num)?.device_id;
    devices::delete(tx, user_num, &device_id)?;
    Ok(device_id)
}
