//! A device, as the API shows it.

use reeve_accounts::devices as deeds;
use reeve_http::{Call, MatrixError};
use reeve_model::User;
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

impl DeviceView {
    fn new(user: &User, device: Device) -> Self {
        Self {
            user_id: user.user_id.clone(),
            device_id: device.device_id,
            display_name: device.display_name,
            last_seen_user_agent: device.last_seen_user_agent,
            last_seen_ts: device.last_seen_ts,
            last_seen_ip: device.last_seen_ip,
            dehydrated: false,
        }
    }

    /// All devices of an account, by device id.
    pub(crate) async fn all(call: &Call, user: &User) -> Result<Vec<Self>, MatrixError> {
        let (num, waiting) = (user.num, call.app.seen.waiting(user.num));
        let mut devices = call.read(move |tx| devices::of_user(tx, num)).await?;
        deeds::see(&mut devices, &waiting);
        Ok(devices.into_iter().map(|device| Self::new(user, device)).collect())
    }

    /// One device of an account.
    pub(crate) async fn one(
        call: &Call,
        user: &User,
        device_id: String,
    ) -> Result<Option<Self>, MatrixError> {
        let (num, waiting) = (user.num, call.app.seen.waiting(user.num));
        let mut device = call.read(move |tx| devices::find(tx, num, &device_id)).await?;
        deeds::see(device.as_mut_slice(), &waiting);
        Ok(device.map(|device| Self::new(user, device)))
    }
}
