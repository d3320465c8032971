//! Creating and changing accounts.

use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, User, UserType, id};
use reeve_store::users;
use reeve_store::validity::{self, Validity};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::policy::Policy;
use crate::{account, audit, rights, roles};

/// A new account.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// The part of the user id between `@` and `:`.
    pub localpart: String,
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar URL.
    pub avatar_url: Option<String>,
    /// The hash of the password; without one the account cannot log in with a password.
    pub password_hash: Option<String>,
    /// True if it administers the server.
    pub admin: bool,
    /// The kind of account; `None` for the default of the settings.
    pub user_type: Option<UserType>,
    /// True if it is a guest.
    pub is_guest: bool,
    /// True if it starts locked.
    pub locked: bool,
    /// True if it starts deactivated: its name is taken and nobody can log in.
    pub deactivated: bool,
}

/// Checks that a new account can have a name, in the order in which clients expect the refusals.
pub fn check_name(tx: &ReadTx<'_>, ctx: &Ctx, policy: &Policy, localpart: &str) -> Result<(), Error> {
    id::check_new_localpart(localpart, &ctx.server_name)?;
    let reserved = [&policy.notices_localpart, &policy.groups_localpart];
    if reserved.into_iter().flatten().any(|reserved| reserved == localpart) {
        return Err(Error::NameReserved);
    }
    if users::is_taken(tx, &ctx.user_id(localpart))? {
        return Err(Error::UserInUse);
    }
    if id::is_numeric(localpart) {
        return Err(id::BadName::Numeric.into());
    }
    Ok(())
}

/// Creates an account. Guests get a numeric name from [`create_numbered`].
pub fn create(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, new: &NewUser) -> Result<User, Error> {
    let user = create_silently(tx, ctx, policy, new)?;
    record(tx, ctx, &user, Map::new())?;
    Ok(user)
}

/// Creates an account, as [`create`] does, for an act that adds to it and then calls [`record`].
pub(crate) fn create_silently(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    new: &NewUser,
) -> Result<User, Error> {
    check_name(tx, ctx, policy, &new.localpart)?;
    insert(tx, ctx, policy, new)
}

/// Writes the audit entry of a new account: its values, and what was added to it.
pub(crate) fn record(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user: &User,
    mut added: Map<String, Value>,
) -> Result<(), Error> {
    let mut changes = Map::from_iter([
        ("admin".to_owned(), json!(user.admin)),
        ("user_type".to_owned(), json!(user.user_type)),
        ("displayname".to_owned(), json!(user.displayname)),
        ("locked".to_owned(), json!(user.locked)),
        ("deactivated".to_owned(), json!(user.deactivated)),
    ]);
    changes.append(&mut added);
    audit::record(tx, ctx, "user.create", &user.user_id, &Value::Object(changes))?;
    Ok(())
}

/// Creates an account that is named by the next free number: a guest, or a user who did not choose a name.
pub fn create_numbered(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, new: &NewUser) -> Result<User, Error> {
    let mut number = users::highest_num(tx)?.get() + 1;
    while users::is_taken(tx, &ctx.user_id(&number.to_string()))? {
        number += 1;
    }
    let localpart = number.to_string();
    let displayname = new.displayname.clone().or_else(|| Some(localpart.clone()));
    let user = insert(tx, ctx, policy, &NewUser { localpart, displayname, ..new.clone() })?;
    record(tx, ctx, &user, Map::new())?;
    Ok(user)
}

fn insert(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, new: &NewUser) -> Result<User, Error> {
    if let Some(displayname) = &new.displayname {
        account::check_displayname(displayname)?;
    }
    if let Some(avatar_url) = &new.avatar_url {
        account::check_avatar_url(avatar_url)?;
    }
    // Whole seconds, since the API shows no more, and lists must not sort by what they do not show.
    let created_ts = ctx.now.whole_second();
    let mut user = User {
        displayname: new.displayname.clone().filter(|name| !name.is_empty()),
        avatar_url: new.avatar_url.clone().filter(|url| !url.is_empty()),
        user_type: new.user_type.clone().or_else(|| policy.default_user_type.clone()),
        is_guest: new.is_guest,
        admin: new.admin,
        deactivated: new.deactivated,
        locked: new.locked,
        ..User::new(ctx.user_id(&new.localpart), created_ts)
    };
    rights::check_change(tx, ctx, &User::default(), &user)?;
    let password_hash = new.password_hash.as_deref().filter(|_| !new.deactivated);
    user.num = users::insert(tx, &user, password_hash)?;
    if user.role().is_some() {
        // The actor who set an expiry for the name before may not change this account.
        validity::delete(tx, &user.user_id)?;
    }
    if let Some(period) = policy.account_validity_period_ms {
        let expiration_ts = ctx.now.plus(period);
        validity::set(tx, &user.user_id, Validity { expiration_ts, renewal_emails: true })?;
    }
    Ok(user)
}

/// Makes an account an owner of the server, or takes that away.
pub fn set_admin(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, admin: bool) -> Result<User, Error> {
    account::edit(tx, ctx, user_id, "user.admin", |user| {
        roles::set_admin(user, admin);
        Ok(())
    })
}
