//! The scopes that acts on accounts need beside that of their route, since a scope opens a whole route.

use reeve_db::ReadTx;
use reeve_model::{Ctx, Scope, User};
use reeve_store::users;

use crate::error::Error;

/// Returns the account that a deed of administration changes, in the transaction that changes it. Refuses as
/// [`check_may_change`] does.
pub fn to_change(tx: &ReadTx<'_>, ctx: &Ctx, user_id: &str) -> Result<User, Error> {
    let user = users::find(tx, user_id)?.ok_or(Error::UserNotFound)?;
    check_may_change(ctx, &user)?;
    Ok(user)
}

/// Refuses an actor who may not make administrators, if the account is that of one.
pub fn check_may_change(ctx: &Ctx, user: &User) -> Result<(), Error> {
    if user.admin && !ctx.scopes.contains(Scope::AdminsWrite) { Err(Error::OfAdministrator) } else { Ok(()) }
}

/// Refuses as [`check_may_change`] does, for a deed on a user id that no account here need have.
pub fn check_may_change_any(tx: &ReadTx<'_>, ctx: &Ctx, user_id: &str) -> Result<(), Error> {
    users::find(tx, user_id)?.map_or(Ok(()), |user| check_may_change(ctx, &user))
}

/// Refuses an actor without a scope that an act needs beside that of its route.
pub fn check_holds(ctx: &Ctx, scope: Scope) -> Result<(), Error> {
    if ctx.scopes.contains(scope) { Ok(()) } else { Err(Error::LacksScope(scope)) }
}

/// Refuses an actor without the scopes that changes of flags need, whatever the route by which they come.
pub(crate) fn check_flags(ctx: &Ctx, before: &User, after: &User) -> Result<(), Error> {
    let restrictions = |user: &User| (user.locked, user.suspended, user.shadow_banned);
    let needed = [
        (before.admin != after.admin, Scope::AdminsWrite),
        (before.deactivated != after.deactivated, Scope::UsersDeactivate),
        (restrictions(before) != restrictions(after), Scope::UsersModerate),
    ];
    let missing = needed.into_iter().find(|(changed, scope)| *changed && !ctx.scopes.contains(*scope));
    missing.map_or(Ok(()), |(_, scope)| Err(Error::LacksScope(scope)))
}
