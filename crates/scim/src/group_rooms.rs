//! Rooms that are groups: those of the managing account.

use reeve_app::App;
use reeve_store::rooms::{Room, shown};

/// Returns the user id of the account that manages the rooms of groups, if the settings name one.
pub(crate) fn manager_id(app: &App) -> Option<String> {
    app.scim.groups_localpart.as_ref().map(|localpart| format!("@{localpart}:{}", app.server_name))
}

/// Returns the name of a group that is a room.
pub(crate) fn name_of_room(room: &Room) -> String {
    let name = shown(room.name.as_ref()).or(shown(room.canonical_alias.as_ref()));
    name.unwrap_or(&room.room_id).clone()
}
