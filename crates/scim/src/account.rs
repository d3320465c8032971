//! Accounts as resources.

use reeve_app::{Inactive, ScimSettings};
use reeve_model::User;

/// Returns true if an account is a resource: not that of a guest, a deleted one, or the one that manages groups.
pub(crate) fn is_resource(settings: &ScimSettings, user: &User) -> bool {
    let is_deleted = match settings.inactive {
        Inactive::Lock => user.deactivated,
        Inactive::Deactivate => user.erased,
    };
    let manages_groups = settings.groups_localpart.as_deref() == Some(user.localpart());
    !user.is_guest && !is_deleted && !manages_groups
}

/// Returns true if an account is active.
pub(crate) fn is_active(settings: &ScimSettings, user: &User) -> bool {
    match settings.inactive {
        Inactive::Lock => !user.locked,
        Inactive::Deactivate => !user.deactivated,
    }
}
