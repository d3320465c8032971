//! The scopes that acts on accounts need beside that of their route, since a scope opens a whole route; and those that the actor
//! of an earlier act still holds.

use reeve_db::{DbError, ReadTx};
use reeve_model::{ActorKind, Ctx, Millis, Scope, Scopes, User};
use reeve_store::{roles, service_tokens, users, validity};

use crate::error::Error;
use crate::policy::Policy;

/// The reason why an actor can do nothing any more.
pub type Gone = &'static str;

/// The reason of a service token that is not there any more.
pub const TOKEN_DELETED: Gone = "the service token of the requester was deleted";

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

/// Returns the scopes that the actor of an earlier act, such as a requester of work that goes on, holds now. `id` is that among the
/// actors of the kind.
pub fn held_now(
    tx: &ReadTx<'_>,
    policy: &Policy,
    kind: ActorKind,
    id: &str,
    now: Millis,
) -> Result<Result<Scopes, Gone>, DbError> {
    Ok(match kind {
        ActorKind::User => match users::find(tx, id)? {
            Some(user) if user.deactivated => Err("the requester was deactivated"),
            Some(user) if user.locked => Err("the requester was locked"),
            Some(user) if user.suspended => Err("the requester was suspended"),
            Some(user) if policy.must_change_password(&user) => Err("the requester must change the password"),
            Some(user) => {
                if validity::find(tx, id)?.is_some_and(|known| known.expiration_ts <= now) {
                    return Ok(Err("the account of the requester has expired"));
                }
                Ok(roles::scopes(tx, &user)?)
            }
            None => Err("the requester does not exist any more"),
        },
        ActorKind::Service => match service_tokens::find(tx, id)? {
            Some(token) if token.terms.expires_ts.is_some_and(|expires| expires <= now) => {
                Err("the service token of the requester has expired")
            }
            Some(token) => Ok(token.terms.scopes),
            None => Err(TOKEN_DELETED),
        },
        ActorKind::Cli => Ok(Scopes::ALL),
        ActorKind::Appservice | ActorKind::Server | ActorKind::Job => Ok(Scopes::NONE),
    })
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
