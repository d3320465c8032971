//! Keys of devices and accounts, and backups of room keys.

use std::collections::BTreeMap;

use reeve_app::shape::AnyObject;
use utoipa::ToSchema;

/// The numbers of one-time keys, by algorithm.
#[derive(ToSchema)]
pub(crate) struct KeyCounts {
    one_time_key_counts: BTreeMap<String, i64>,
}

/// Keys by user, and failures by server.
#[derive(ToSchema)]
pub(crate) struct FoundKeys {
    device_keys: BTreeMap<String, BTreeMap<String, AnyObject>>,
    master_keys: BTreeMap<String, AnyObject>,
    self_signing_keys: BTreeMap<String, AnyObject>,
    user_signing_keys: BTreeMap<String, AnyObject>,
    failures: BTreeMap<String, AnyObject>,
}

/// Keys by device by user, and failures by server.
#[derive(ToSchema)]
pub(crate) struct ClaimedKeys {
    one_time_keys: BTreeMap<String, BTreeMap<String, AnyObject>>,
    failures: BTreeMap<String, AnyObject>,
}

/// Users whose devices changed, and users who no longer share a room.
#[derive(ToSchema)]
pub(crate) struct ChangedDevices {
    changed: Vec<String>,
    left: Vec<String>,
}

/// Refused signatures: errors by key by user.
#[derive(ToSchema)]
pub(crate) struct Failures {
    failures: BTreeMap<String, AnyObject>,
}

/// The version of a backup.
#[derive(ToSchema)]
pub(crate) struct BackupVersion {
    version: String,
}

/// A backup of room keys.
#[derive(ToSchema)]
pub(crate) struct KeyBackup {
    version: String,
    algorithm: String,
    auth_data: AnyObject,
    count: i64,
    etag: String,
}

/// The number of keys in a backup, and a tag that changes with them.
#[derive(ToSchema)]
pub(crate) struct BackupExtent {
    count: i64,
    etag: String,
}
