//! Devices, and messages to them.

use std::collections::BTreeMap;

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

/// The name of a device.
#[derive(ToSchema)]
pub(crate) struct DeviceName {
    display_name: Option<String>,
}

/// Devices to delete.
#[derive(ToSchema)]
pub(crate) struct DevicesToDelete {
    devices: Vec<String>,
    auth: Option<AnyObject>,
}

/// A dehydrated device.
#[derive(ToSchema)]
pub(crate) struct NewDehydratedDevice {
    device_id: String,
    device_data: AnyObject,
    initial_device_display_name: Option<String>,
    device_keys: Option<AnyObject>,
    one_time_keys: Option<AnyObject>,
    fallback_keys: Option<AnyObject>,
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

/// The token of the next page.
#[derive(ToSchema)]
pub(crate) struct After {
    next_batch: Option<String>,
}

/// Messages to a device.
#[derive(ToSchema)]
pub(crate) struct DeviceMessages {
    events: Vec<AnyObject>,
    next_batch: String,
}

/// Messages by device by user.
#[derive(ToSchema)]
pub(crate) struct ToDevice {
    messages: BTreeMap<String, BTreeMap<String, AnyObject>>,
}
