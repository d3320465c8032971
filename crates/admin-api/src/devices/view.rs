//! A device in responses.

use reeve_app::Reading;
use reeve_db::{DbError, ReadTx};
use reeve_model::{Millis, User, UserNum};
use reeve_store::dehydrated_devices;
use reeve_store::devices::{self, Device};
use serde::Serialize;
use utoipa::ToSchema;

/// A device. Every key is always present; unknown values are null.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceView {
    user_id: String,
    device_id: String,
    #[schema(required)]
    display_name: Option<String>,
    #[schema(required)]
    last_seen_user_agent: Option<String>,
    /// When it was last seen, in milliseconds.
    #[schema(required)]
    last_seen_ts: Option<i64>,
    #[schema(required)]
    last_seen_ip: Option<String>,
    /// True for the dehydrated device, which has keys but no session.
    dehydrated: bool,
}

/// Returns the id of the account's dehydrated device.
fn dehydrated(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Option<String>, DbError> {
    Ok(dehydrated_devices::of_user(tx, user_num)?.map(|device| device.device_id))
}

impl DeviceView {
    fn new(user: &User, device: Device, dehydrated: Option<&str>) -> Self {
        Self {
            dehydrated: dehydrated == Some(&device.device_id),
            user_id: user.user_id.clone(),
            device_id: device.device_id,
            display_name: device.display_name,
            last_seen_user_agent: device.last_seen_user_agent,
            last_seen_ts: device.last_seen_ts.map(Millis::get),
            last_seen_ip: device.last_seen_ip,
        }
    }

    /// Returns all devices of an account, by device id.
    pub(crate) fn all(call: &Reading<'_>, user: &User) -> Result<Vec<Self>, DbError> {
        let mut devices = devices::of_user(call.tx, user.num)?;
        reeve_accounts::devices::see(&mut devices, &call.app.seen.lately(user.num));
        let dehydrated = dehydrated(call.tx, user.num)?;
        Ok(devices.into_iter().map(|device| Self::new(user, device, dehydrated.as_deref())).collect())
    }

    /// Returns one device of an account.
    pub(crate) fn one(call: &Reading<'_>, user: &User, device_id: &str) -> Result<Option<Self>, DbError> {
        let mut device = devices::find(call.tx, user.num, device_id)?;
        reeve_accounts::devices::see(device.as_mut_slice(), &call.app.seen.lately(user.num));
        let dehydrated = dehydrated(call.tx, user.num)?;
        Ok(device.map(|device| Self::new(user, device, dehydrated.as_deref())))
    }
}
