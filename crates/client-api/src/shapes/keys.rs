//! Keys of devices and accounts, and backups of room keys.

use std::collections::BTreeMap;

use reeve_app::shape::AnyObject;
use utoipa::ToSchema;

/// Keys of a device.
#[derive(ToSchema)]
pub(crate) struct KeyUpload {
    device_keys: Option<AnyObject>,
    one_time_keys: Option<AnyObject>,
    fallback_keys: Option<AnyObject>,
}

/// The numbers of one-time keys, by algorithm.
#[derive(ToSchema)]
pub(crate) struct KeyCounts {
    one_time_key_counts: BTreeMap<String, i64>,
}

/// A query for keys: devices by user; an empty list for all devices of a user.
#[derive(ToSchema)]
pub(crate) struct KeyQuery {
    device_keys: BTreeMap<String, Vec<String>>,
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

/// A claim of keys: algorithms by device by user.
#[derive(ToSchema)]
pub(crate) struct KeyClaim {
    one_time_keys: BTreeMap<String, BTreeMap<String, String>>,
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

/// Cross-signing keys of an account.
#[derive(ToSchema)]
pub(crate) struct CrossSigningKeys {
    master_key: Option<AnyObject>,
    self_signing_key: Option<AnyObject>,
    user_signing_key: Option<AnyObject>,
    auth: Option<AnyObject>,
}

/// Refused signatures: errors by key by user.
#[derive(ToSchema)]
pub(crate) struct Failures {
    failures: BTreeMap<String, AnyObject>,
}

/// The algorithm and authentication data of a backup.
#[derive(ToSchema)]
pub(crate) struct NewBackup {
    algorithm: String,
    auth_data: AnyObject,
}

/// The new authentication data of a backup.
#[derive(ToSchema)]
pub(crate) struct ChangedBackup {
    algorithm: String,
    auth_data: AnyObject,
    version: Option<String>,
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

/// Room keys by session by room.
#[derive(ToSchema)]
pub(crate) struct RoomsOfKeys {
    rooms: BTreeMap<String, SessionsOfKeys>,
}

/// Room keys by session.
#[derive(ToSchema)]
pub(crate) struct SessionsOfKeys {
    sessions: BTreeMap<String, RoomKey>,
}

/// A room key, encrypted.
#[derive(ToSchema)]
pub(crate) struct RoomKey {
    first_message_index: i64,
    forwarded_count: i64,
    is_verified: bool,
    session_data: AnyObject,
}
