//! External ids of accounts.

use reeve_db::Tx;
use reeve_model::User;
use reeve_store::external_ids::{self, ExternalId};

use crate::error::Error;

/// Replaces the external ids of an account by `wanted`. An id that belongs to another account is refused. Returns true
/// if anything changed.
pub fn replace(tx: &mut Tx<'_>, user: &User, wanted: &[ExternalId]) -> Result<bool, Error> {
    let stored = external_ids::of_user(tx, user.num)?;
    let mut changed = false;
    for id in stored.iter().filter(|id| !wanted.contains(id)) {
        external_ids::delete(tx, user.num, id)?;
        changed = true;
    }
    for id in wanted {
        match external_ids::find_user(tx, &id.auth_provider, &id.external_id)? {
            Some(num) if num == user.num => {}
            Some(_) => return Err(Error::ExternalIdInUse),
            None => {
                external_ids::insert(tx, user.num, id)?;
                changed = true;
            }
        }
    }
    Ok(changed)
}
