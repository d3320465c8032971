//! Accounts as resources.

use reeve_app::{Inactive, ScimSettings};
use reeve_model::User;

/// Returns true if an account is a resource.
pub(crate) fn is_resource(settings: &ScimSettings, user: &User) -> bool {
    let is_deleted = match settings.inactive {
        Inactive::Lock => user.deactivated,
        Inactive::Deactivate => user.erased,
    };
    !user.is_guest && !is_deleted
}

/// Returns true if an account is active.
pub(crate) fn is_active(settings: &ScimSettings, user: &User) -> bool {
    match settings.inactive {
        Inactive::Lock => !user.locked,
        Inactive::Deactivate => !user.deactivated,
    }
}
