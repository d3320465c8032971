//! Devices that wait, with keys but without a session, so that somebody who has no other device at the moment gets the
//! keys that are sent meanwhile.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>

use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, User, UserNum};
use reeve_store::{dehydrated_devices, devices as rows};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::keys::{self, Upload, to_json};
use crate::policy::Limits;
use crate::{devices, sessions};

const NONE: Error = Error::KeyNotFound("No dehydrated device available");

/// A device that is to wait.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Its id, which the client chose.
    pub device_id: String,
    /// What people call it.
    pub display_name: Option<String>,
    /// What is needed to bring it to life.
    pub device_data: Map<String, Value>,
    /// Its keys.
    pub keys: Upload,
}

/// The device of an account that waits: its id, and what is needed to bring it to life, as JSON.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum) -> Result<(String, String), Error> {
    dehydrated_devices::of_user(tx, user_num)?.ok_or(NONE)
}

/// Lets a device wait, in place of the one that does.
pub fn put(tx: &mut Tx<'_>, ctx: &Ctx, limits: &Limits, user: &User, new: &NewDevice) -> Result<(), Error> {
    if !new.keys.has_device_keys() {
        return Err(Error::BadKeys("'device_keys' is missing".to_owned()));
    }
    sessions::check(&sessions::NewSession {
        device_id: Some(new.device_id.clone()),
        initial_device_display_name: new.display_name.clone(),
        refreshable: false,
    })?;
    if let Some((old, _)) = dehydrated_devices::of_user(tx, user.num)? {
        devices::delete(tx, user.num, &old)?;
    }
    if rows::find(tx, user.num, &new.device_id)?.is_some() {
        return Err(Error::DeviceIdInUse);
    }
    devices::insert(tx, ctx, limits, user.num, &new.device_id, new.display_name.as_deref())?;
    dehydrated_devices::put(tx, user.num, &new.device_id, &to_json(&new.device_data)?)?;
    keys::upload(tx, limits, user.num, &new.device_id, &new.keys)?;
    Ok(())
}

/// Deletes the device that waits; answers its id.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum) -> Result<String, Error> {
    let (device_id, _) = find(tx, user_num)?;
    devices::delete(tx, user_num, &device_id)?;
    Ok(device_id)
}
