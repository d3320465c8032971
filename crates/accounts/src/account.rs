//! One account: its names, and the storage of changes with their consequences.

use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, User, UserNum};
use reeve_store::{browser_sessions, users};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::{audit, propagation, rights, sessions};

/// The longest display name, in characters.
pub const MAX_DISPLAYNAME: usize = 256;
/// The longest avatar URL, in characters.
pub const MAX_AVATAR_URL: usize = 1000;

/// Returns the account with a user id.
pub fn find(tx: &ReadTx<'_>, user_id: &str) -> Result<User, Error> {
    users::find(tx, user_id)?.ok_or(Error::UserNotFound)
}

/// Refuses if an account is deactivated, since its data would never be cleared. Deeds of an account's own session need
/// not ask: a deactivated account has none.
pub fn check_active(tx: &ReadTx<'_>, user_num: UserNum) -> Result<(), Error> {
    if users::by_num(tx, user_num)?.is_some_and(|user| !user.deactivated) {
        Ok(())
    } else {
        Err(Error::Deactivated)
    }
}

/// Checks the length of a display name.
pub fn check_displayname(displayname: &str) -> Result<(), Error> {
    if displayname.chars().count() > MAX_DISPLAYNAME {
        return Err(Error::ProfileTooLong("Displayname is too long (max 256)"));
    }
    Ok(())
}

/// Checks the length of an avatar URL.
pub fn check_avatar_url(avatar_url: &str) -> Result<(), Error> {
    if avatar_url.chars().count() > MAX_AVATAR_URL {
        return Err(Error::ProfileTooLong("Avatar URL is too long (max 1000)"));
    }
    Ok(())
}

/// Changes an account: `change` works on a copy, and its changes are stored and audited as `action`. Returns the
/// changed account.
pub fn edit(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    action: &str,
    change: impl FnOnce(&mut User) -> Result<(), Error>,
) -> Result<User, Error> {
    let before = rights::to_change(tx, ctx, user_id)?;
    let mut after = before.clone();
    change(&mut after)?;
    store(tx, ctx, action, &before, &after)?;
    Ok(after)
}

/// Stores and audits the changes from `before` to `after`, if there are any.
pub fn store(tx: &mut Tx<'_>, ctx: &Ctx, action: &str, before: &User, after: &User) -> Result<(), Error> {
    if before == after {
        return Ok(());
    }
    apply(tx, ctx, before, after)?;
    audit::record(tx, ctx, action, &after.user_id, &Value::Object(changes(before, after)))?;
    Ok(())
}

/// Stores the changes from `before` to `after`, with their consequences in rooms and sessions.
pub(crate) fn apply(tx: &mut Tx<'_>, ctx: &Ctx, before: &User, after: &User) -> Result<(), Error> {
    if after.erased && (after.displayname.is_some() || after.avatar_url.is_some()) {
        return Err(Error::Deactivated);
    }
    rights::check_change(tx, ctx, before, after)?;
    users::update(tx, before, after)?;
    sessions::end_impersonation(tx, before, after)?;
    if after.locked && !before.locked {
        // People sign in again: a browser may be that of somebody else.
        browser_sessions::delete_of_user(tx, after.num, None)?;
    }
    propagation::spread(tx, ctx, before, after)?;
    Ok(())
}

/// Returns the fields that differ, with their new values.
pub(crate) fn changes(before: &User, after: &User) -> Map<String, Value> {
    let fields = |user: &User| {
        [
            ("displayname", json!(user.displayname)),
            ("avatar_url", json!(user.avatar_url)),
            ("user_type", json!(user.user_type)),
            ("admin", json!(user.admin)),
            ("role", json!(user.role)),
            ("deactivated", json!(user.deactivated)),
            ("locked", json!(user.locked)),
            ("shadow_banned", json!(user.shadow_banned)),
            ("suspended", json!(user.suspended)),
            ("erased", json!(user.erased)),
            ("password_change_required", json!(user.password_change_required)),
        ]
    };
    let pairs = fields(before).into_iter().zip(fields(after));
    pairs.filter(|(old, new)| old != new).map(|(_, (name, value))| (name.to_owned(), value)).collect()
}
