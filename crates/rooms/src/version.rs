//! Room versions.
//! <https://spec.matrix.org/v1.18/rooms/>

use ruma::RoomVersionId;
use ruma::room_version_rules::RoomVersionRules;

/// The default version of new rooms.
pub const DEFAULT: &str = "12";

/// The versions in which rooms can be created.
pub const SUPPORTED: [&str; 7] = ["6", "7", "8", "9", "10", "11", "12"];

/// Returns the rules of a version; `None` if it is not supported.
pub fn rules(version: &str) -> Option<RoomVersionRules> {
    if !SUPPORTED.contains(&version) {
        return None;
    }
    RoomVersionId::try_from(version).ok()?.rules()
}
