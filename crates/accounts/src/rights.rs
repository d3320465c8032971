//! The scopes that acts on accounts need beside that of their route, since a scope opens a whole route.

use reeve_db::ReadTx;
use reeve_model::{Ctx, Scope, Scopes, User};
use reeve_store::{roles, users};

use crate::error::Error;

/// Returns the account that a deed of administration changes, in the transaction that changes it. Refuses as
/// [`check_may_change`] does.
pub fn to_change(tx: &ReadTx<'_>, ctx: &Ctx, user_id: &str) -> Result<User, Error> {
    let user = users::find(tx, user_id)?.ok_or(Error::UserNotFound)?;
    check_may_change(tx, ctx, &user)?;
    Ok(user)
}

/// Refuses if the role of an account holds a scope that the actor lacks: a caller who can change the account can get
/// its rights.
pub fn check_may_change(tx: &ReadTx<'_>, ctx: &Ctx, user: &User) -> Result<(), Error> {
    roles::scopes(tx, user)?.beyond(ctx.scopes).map_or(Ok(()), |scope| Err(Error::Above(scope)))
}

/// Refuses as [`check_may_change`] does, for a deed on a user id that no account here need have.
pub fn check_may_change_any(tx: &ReadTx<'_>, ctx: &Ctx, user_id: &str) -> Result<(), Error> {
    users::find(tx, user_id)?.map_or(Ok(()), |user| check_may_change(tx, ctx, &user))
}

/// Refuses an actor who does not hold a scope.
pub fn check_holds(ctx: &Ctx, scope: Scope) -> Result<(), Error> {
    if ctx.scopes.contains(scope) { Ok(()) } else { Err(Error::LacksScope(scope)) }
}

/// Refuses an actor who would give away scopes that they do not hold.
pub fn check_grant(ctx: &Ctx, scopes: Scopes) -> Result<(), Error> {
    scopes.beyond(ctx.scopes).map_or(Ok(()), |scope| Err(Error::CannotGrant(scope)))
}

/// Refuses an actor without the scopes that a change of role or flags needs, whatever the route by which it comes; an
/// actor who would lose scopes by it; and a change that leaves the server without an owner whose account can be used.
pub(crate) fn check_change(tx: &ReadTx<'_>, ctx: &Ctx, before: &User, after: &User) -> Result<(), Error> {
    if before.role() != after.role() {
        check_holds(ctx, Scope::AdminsWrite)?;
        let scopes = roles::scopes(tx, after)?;
        check_grant(ctx, scopes)?;
        if ctx.is_by(&before.user_id) && roles::scopes(tx, before)?.beyond(scopes).is_some() {
            return Err(Error::SelfDemotion);
        }
    }
    if before.deactivated != after.deactivated {
        check_holds(ctx, Scope::UsersDeactivate)?;
    }
    let restrictions = |user: &User| (user.locked, user.suspended, user.shadow_banned);
    if restrictions(before) != restrictions(after) {
        check_holds(ctx, Scope::UsersModerate)?;
    }
    if before.is_active_owner() && !after.is_active_owner() && !users::has_other_owner(tx, before.num)? {
        return Err(Error::LastOwner);
    }
    Ok(())
}
