//! Devices, and messages to them.

use reeve_app::shape::AnyObject;
use utoipa::ToSchema;

/// Devices.
#[derive(ToSchema)]
pub(crate) struct Devices {
    devices: Vec<Device>,
}

/// A device.
#[derive(ToSchema)]
pub(crate) struct Device {
    user_id: String,
    device_id: String,
    #[schema(required)]
    display_name: Option<String>,
    #[schema(required)]
    last_seen_ts: Option<i64>,
    #[schema(required)]
    last_seen_ip: Option<String>,
}

/// The id of a device.
#[derive(ToSchema)]
pub(crate) struct DeviceId {
    device_id: String,
}

/// A dehydrated device.
#[derive(ToSchema)]
pub(crate) struct DehydratedDevice {
    device_id: String,
    device_data: AnyObject,
}

/// Messages to a device.
#[derive(ToSchema)]
pub(crate) struct DeviceMessages {
    events: Vec<AnyObject>,
    next_batch: String,
}
