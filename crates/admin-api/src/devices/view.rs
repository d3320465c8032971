//! A device, as the API shows it.

use reeve_accounts::devices as deeds;
use reeve_db::{DbError, ReadTx};
use reeve_http::{Call, MatrixError};
use reeve_model::User;
use reeve_store::dehydrated_devices;
use reeve_store::devices::{self, Device};
use serde::Serialize;
use utoipa::ToSchema;

/// A device. Every key is always there; what is not known is null.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceView {
    user_id: String,
    device_id: String,
    display_name: Option<String>,
    last_seen_user_agent: Option<String>,
    /// When it was last seen, in milliseconds.
    last_seen_ts: Option<i64>,
    last_seen_ip: Option<String>,
    /// Whether it waits, with keys but without a session, for messages to be read later.
    dehydrated: bool,
}

/// The id of the device of an account that waits.
fn dehydrated(tx: &ReadTx<'_>, user_num: i64) -> Result<Option<String>, DbError> {
    Ok(dehydrated_devices::of_user(tx, user_num)?.map(|(device_id, _)| device_id))
}

impl DeviceView {
    fn new(user: &User, device: Device, dehydrated: Option<&str>) -> Self {
        Self {
            dehydrated: dehydrated == Some(&device.device_id),
            user_id: user.user_id.clone(),
            device_id: device.device_id,
            display_name: device.display_name,
            last_seen_user_agent: device.last_seen_user_agent,
            last_seen_ts: device.last_seen_ts,
            last_seen_ip: device.last_seen_ip,
        }
    }

    /// All devices of an account, by device id.
    pub(crate) async fn all(call: &Call, user: &User) -> Result<Vec<Self>, MatrixError> {
        let (num, waiting) = (user.num, call.app.seen.waiting(user.num));
        let (mut devices, dehydrated) = call
            .read(move |tx| -> Result<_, DbError> { Ok((devices::of_user(tx, num)?, dehydrated(tx, num)?)) })
            .await?;
        deeds::see(&mut devices, &waiting);
        Ok(devices.into_iter().map(|device| Self::new(user, device, dehydrated.as_deref())).collect())
    }

    /// One device of an account.
    pub(crate) async fn one(
        call: &Call,
        user: &User,
        device_id: String,
    ) -> Result<Option<Self>, MatrixError> {
        let (num, waiting) = (user.num, call.app.seen.waiting(user.num));
        let (mut device, dehydrated) = call
            .read(move |tx| -> Result<_, DbError> {
                Ok((devices::find(tx, num, &device_id)?, dehydrated(tx, num)?))
            })
            .await?;
        deeds::see(device.as_mut_slice(), &waiting);
        Ok(device.map(|device| Self::new(user, device, dehydrated.as_deref())))
    }
}
