//! Roles: named sets of scopes that accounts hold.

use reeve_db::{ReadTx, Tx};
use reeve_model::role::MAX_OWN_ROLES;
use reeve_model::{BuiltInRole, Ctx, Role, Scope, User};
use reeve_store::{access_tokens, roles as store, scim_groups, users};
use serde_json::json;

use crate::error::Error;
use crate::{account, audit, names, rights};

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 500;

/// Returns the role of a name.
pub fn find(tx: &ReadTx<'_>, name: &str) -> Result<Role, Error> {
    store::find(tx, name)?.ok_or(Error::RoleNotFound)
}

fn check_own(name: &str) -> Result<(), Error> {
    if name.parse::<BuiltInRole>().is_ok() { Err(Error::BuiltIn) } else { Ok(()) }
}

/// Creates a role, or changes it for all accounts that hold it. The actor must hold its scopes, before and afterwards.
/// Returns true if it is new.
pub fn put(tx: &mut Tx<'_>, ctx: &Ctx, role: &Role) -> Result<bool, Error> {
    check_own(&role.name)?;
    if !names::is_plain(&role.name) {
        return Err(Error::BadRole(names::RULE));
    }
    if role.description.chars().count() > MAX_DESCRIPTION {
        return Err(Error::BadRole("The description is too long (max 500)"));
    }
    if role.scopes.is_empty() {
        return Err(Error::BadRole("A role needs a scope"));
    }
    rights::check_grant(ctx, role.scopes)?;
    let before = store::find(tx, &role.name)?;
    match &before {
        None => {
            if i64::try_from(store::own(tx)?.len()).is_ok_and(|known| known >= MAX_OWN_ROLES) {
                return Err(Error::too_many("A server", MAX_OWN_ROLES, "roles of its own"));
            }
        }
        Some(before) => {
            rights::check_grant(ctx, before.scopes)?;
            if before == role {
                return Ok(false);
            }
            if actor_holds(tx, ctx, &role.name)? && before.scopes.beyond(role.scopes).is_some() {
                return Err(Error::SelfDemotion);
            }
            if before.scopes.contains(Scope::SessionsImpersonate)
                && !role.scopes.contains(Scope::SessionsImpersonate)
            {
                access_tokens::delete_acting_as_others_of_role(tx, &role.name)?;
            }
        }
    }
    store::put(tx, role, ctx.now)?;
    let action = if before.is_none() { "role.create" } else { "role.update" };
    let changes = json!({ "description": role.description, "scopes": role.scopes });
    audit::record(tx, ctx, action, &role.name, &changes)?;
    Ok(before.is_none())
}

/// Returns true if the actor is an account that holds a role.
fn actor_holds(tx: &ReadTx<'_>, ctx: &Ctx, name: &str) -> Result<bool, Error> {
    let Some(user_id) = ctx.account() else { return Ok(false) };
    Ok(users::find(tx, user_id)?.is_some_and(|user| user.role() == Some(name)))
}

/// Deletes a role that no account holds.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, name: &str) -> Result<(), Error> {
    check_own(name)?;
    let role = find(tx, name)?;
    rights::check_grant(ctx, role.scopes)?;
    if store::is_held(tx, name)? {
        return Err(Error::RoleHeld);
    }
    store::delete(tx, name)?;
    scim_groups::delete(tx, &scim_groups::role_id(name))?;
    audit::record(tx, ctx, "role.delete", name, &json!({}))?;
    Ok(())
}

/// Gives an account a role, or takes its role away.
pub fn set(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, name: Option<&str>) -> Result<User, Error> {
    if let Some(name) = name {
        find(tx, name)?;
    }
    account::edit(tx, ctx, user_id, "user.role", |user| {
        if user.is_guest {
            return Err(Error::Refused("A guest cannot have a role"));
        }
        give(user, name);
        Ok(())
    })
}

/// Gives the role to the copy of an account.
fn give(user: &mut User, name: Option<&str>) {
    user.admin = name == Some(BuiltInRole::Owner.as_str());
    user.role = name.filter(|_| !user.admin).map(str::to_owned);
}

/// Sets the administrator flag of the copy of an account: that of an owner, whose other role ends. Without it, an account
/// keeps another role than owner.
pub(crate) fn set_admin(user: &mut User, admin: bool) {
    if admin {
        give(user, Some(BuiltInRole::Owner.as_str()));
    } else {
        user.admin = false;
    }
}
