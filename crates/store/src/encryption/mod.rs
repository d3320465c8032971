//! Keys of devices and accounts, and messages from device to device.

pub mod cross_signing;
pub mod dehydrated_devices;
pub mod device_changes;
pub mod key_backups;
pub mod keys;
pub mod to_device;

use reeve_db::Statement;

/// Every statement of these modules.
pub(crate) const STATEMENTS: &[&[&Statement]] = &[
    keys::STATEMENTS,
    cross_signing::STATEMENTS,
    device_changes::STATEMENTS,
    to_device::STATEMENTS,
    dehydrated_devices::STATEMENTS,
    key_backups::STATEMENTS,
];
