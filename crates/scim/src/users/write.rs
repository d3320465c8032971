//! Changes of users, as deeds on accounts: each in one transaction, all or nothing.

use std::sync::Arc;

use reeve_accounts::put::{self, Change, StringField};
use reeve_accounts::sessions::Spared;
use reeve_accounts::{deactivate, rights, roles};
use reeve_app::json::Object;
use reeve_app::{App, Call, Inactive, MatrixError};
use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, Scope, User, id};
use reeve_store::external_ids::ExternalId;
use reeve_store::{external_ids, threepids, users};
use serde_json::Value;

use super::view;
use super::wanted::{self, Wanted};
use crate::account::is_resource;
use crate::error::{invalid_value, mutability, of_accounts, uniqueness};
use crate::patch::{self, Operation};
use crate::reply::Precondition;

/// The new state of a user, as a request gives it.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// The body of a PUT.
    Body(Object),
    /// The operations of a PATCH.
    Operations(Vec<Operation>),
}

impl Given {
    /// Returns the password, which is hashed before the transaction.
    fn password(&self) -> Result<Option<String>, MatrixError> {
        match self {
            Self::Body(body) => wanted::password(body),
            Self::Operations(operations) => wanted::password(&patch::password(operations)?),
        }
    }

    /// Returns the wanted state of a user who is seen so.
    fn wanted(&self, seen: &Object) -> Result<Wanted, MatrixError> {
        match self {
            Self::Body(body) => {
                let before = seen.get("displayName").and_then(Value::as_str).unwrap_or_default();
                Wanted::read(body, Some(before))
            }
            Self::Operations(operations) => {
                let mut user = seen.clone();
                patch::apply(&mut user, operations.clone())?;
                Wanted::read_changes(seen, &user)
            }
        }
    }
}

/// Changes a user, and returns it.
pub(super) async fn change(call: &Call, target: Target, given: Given) -> Result<Object, MatrixError> {
    let password_hash = hash(&call.app, given.password()?).await?;
    let (app, ctx) = (Arc::clone(&call.app), call.admin_ctx()?);
    call.write(move |tx| replace(tx, &app, &ctx, &target, &given, password_hash.as_deref())).await
}

/// Returns the hash of a password, which takes too long for a transaction.
pub(super) async fn hash(app: &App, password: Option<String>) -> Result<Option<String>, MatrixError> {
    match password {
        Some(password) => Ok(Some(app.hasher.hash(&password).await?)),
        None => Ok(None),
    }
}

/// Creates a user. The account of a deleted one of the name is active again, unless it was erased.
pub(super) fn create(
    tx: &mut Tx<'_>,
    app: &App,
    ctx: &Ctx,
    wanted: &Wanted,
    password_hash: Option<&str>,
) -> Result<Object, MatrixError> {
    let name = wanted.user_name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid_value("'userName' is missing"))?;
    let user_id = ctx.user_id(&view::names(app).localpart(name));
    let former = users::find(tx, &user_id)?;
    if let Some(former) = &former {
        check_reuse(app, name, former)?;
    }
    let default = || id::localpart(&user_id).to_owned();
    let mut change = Change {
        displayname: StringField::Text(wanted.display_name.clone().flatten().unwrap_or_else(default)),
        threepids: Some(of_mediums(
            wanted.emails.clone().unwrap_or_default(),
            wanted.phones.clone().unwrap_or_default(),
        )),
        external_ids: Some(external_ids_with(
            tx,
            app,
            former.as_ref(),
            wanted.external_id.clone().flatten(),
        )?),
        password_hash: password_hash.map(str::to_owned),
        ..Change::default()
    };
    set_active(&mut change, app.scim.inactive, wanted.active.unwrap_or(true));
    let deactivated = change.deactivated;
    if former.is_some() {
        // It comes back before it gets the attributes, also if it is inactive again at once.
        change.deactivated = Some(false);
    }
    put::put(tx, ctx, &app.policy, &user_id, &change).map_err(of_accounts)?;
    if former.is_some() && deactivated == Some(true) {
        let change = Change { deactivated, ..Change::default() };
        put::put(tx, ctx, &app.policy, &user_id, &change).map_err(of_accounts)?;
    }
    set_role(tx, ctx, &user_id, Some(wanted.role.clone().flatten()))?;
    view_of(tx, app, &user_id)
}

/// Refuses to give an account to a user who is created with its name, unless it is that of a deleted user. An erased one may have been
/// another person's, whose messages would be shown again as the user's.
fn check_reuse(app: &App, name: &str, former: &User) -> Result<(), MatrixError> {
    let is_deleted = former.deactivated && !former.is_guest && !is_resource(&app.scim, former);
    if !is_deleted {
        return Err(uniqueness(format!("The user name '{name}' is taken")));
    }
    if former.erased && !app.scim.reuse_erased {
        return Err(uniqueness(format!("The user name '{name}' was that of an account that is erased")));
    }
    Ok(())
}

/// Changes a user to a wanted state.
fn replace(
    tx: &mut Tx<'_>,
    app: &App,
    ctx: &Ctx,
    target: &Target,
    given: &Given,
    password_hash: Option<&str>,
) -> Result<Object, MatrixError> {
    let user = target.load(tx, app, ctx)?;
    let seen = view_of(tx, app, &target.user_id)?;
    target.precondition.check(&seen)?;
    let wanted = given.wanted(&seen)?;
    if wanted.user_name.as_ref().is_some_and(|name| !view::names(app).is_of(name, user.localpart())) {
        return Err(mutability("userName"));
    }
    let threepids = match (&wanted.emails, &wanted.phones) {
        (None, None) => None,
        (emails, phones) => {
            let stored = threepids::of_user(tx, user.num)?;
            let or_stored = |new: &Option<Vec<String>>, medium: &str| {
                let stored = stored.iter().filter(|threepid| threepid.medium == medium);
                new.clone().unwrap_or_else(|| stored.map(|threepid| threepid.address.clone()).collect())
            };
            Some(of_mediums(or_stored(emails, "email"), or_stored(phones, "msisdn")))
        }
    };
    let external_ids = match &wanted.external_id {
        None => None,
        Some(external_id) => Some(external_ids_with(tx, app, Some(&user), external_id.clone())?),
    };
    let mut change = Change {
        displayname: match &wanted.display_name {
            None => StringField::Absent,
            Some(name) => StringField::Text(name.clone().unwrap_or_default()),
        },
        threepids,
        external_ids,
        password_hash: password_hash.map(str::to_owned),
        end_sessions: Some(Spared::default()),
        ..Change::default()
    };
    if let Some(is_active) = wanted.active {
        set_active(&mut change, app.scim.inactive, is_active);
    }
    put::put(tx, ctx, &app.policy, &target.user_id, &change).map_err(of_accounts)?;
    set_role(tx, ctx, &target.user_id, wanted.role.clone())?;
    view_of(tx, app, &target.user_id)
}

/// Deletes a user: the account is deactivated, and erased if inactive ones are deactivated already.
pub(super) fn delete(tx: &mut Tx<'_>, app: &App, ctx: &Ctx, target: &Target) -> Result<(), MatrixError> {
    rights::check_holds(ctx, Scope::UsersDeactivate).map_err(of_accounts)?;
    let user = target.load(tx, app, ctx)?;
    target.precondition.check(&view_of(tx, app, &target.user_id)?)?;
    // Its external id is free for another account.
    let others = external_ids_with(tx, app, Some(&user), None)?;
    let change = Change { external_ids: Some(others), ..Change::default() };
    put::put(tx, ctx, &app.policy, &target.user_id, &change).map_err(of_accounts)?;
    let erase = app.scim.inactive == Inactive::Deactivate;
    deactivate::deactivate(tx, ctx, &app.policy, &user, erase).map_err(of_accounts)?;
    Ok(())
}

/// The user that a request changes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) user_id: String,
    pub(super) precondition: Precondition,
}

impl Target {
    /// Returns the account, if the caller may change it.
    fn load(&self, tx: &ReadTx<'_>, app: &App, ctx: &Ctx) -> Result<User, MatrixError> {
        let user = users::find(tx, &self.user_id)?.filter(|user| is_resource(&app.scim, user));
        let user = user.ok_or_else(missing)?;
        rights::check_may_change(tx, ctx, &user).map_err(of_accounts)?;
        Ok(user)
    }
}

pub(super) fn missing() -> MatrixError {
    MatrixError::not_found("User not found")
}

/// Returns a user as clients see it.
pub(super) fn view_of(tx: &ReadTx<'_>, app: &App, user_id: &str) -> Result<Object, MatrixError> {
    let user = users::find(tx, user_id)?.ok_or_else(missing)?;
    view::user(tx, app, user)?.ok_or_else(missing)
}

/// Lets a change make an account active or not.
fn set_active(change: &mut Change, inactive: Inactive, is_active: bool) {
    match inactive {
        Inactive::Lock => change.locked = Some(!is_active),
        Inactive::Deactivate => change.deactivated = Some(!is_active),
    }
}

fn of_mediums(emails: Vec<String>, phones: Vec<String>) -> Vec<(String, String)> {
    let of = |medium: &'static str| move |address| (medium.to_owned(), address);
    emails.into_iter().map(of("email")).chain(phones.into_iter().map(of("msisdn"))).collect()
}

/// Returns the external ids of an account at other identity providers, and this one.
fn external_ids_with(
    tx: &ReadTx<'_>,
    app: &App,
    user: Option<&User>,
    external_id: Option<String>,
) -> Result<Vec<ExternalId>, MatrixError> {
    let provider = &app.scim.external_id_provider;
    let stored = match user {
        Some(user) => external_ids::of_user(tx, user.num)?,
        None => Vec::new(),
    };
    let own = external_id.map(|external_id| ExternalId { auth_provider: provider.clone(), external_id });
    Ok(stored.into_iter().filter(|id| id.auth_provider != *provider).chain(own).collect())
}

/// Gives an account a role or takes it away, unless the role stays.
fn set_role(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    role: Option<Option<String>>,
) -> Result<(), MatrixError> {
    let Some(role) = role else { return Ok(()) };
    let user = users::find(tx, user_id)?.ok_or_else(missing)?;
    if user.role() == role.as_deref() {
        return Ok(());
    }
    roles::set(tx, ctx, user_id, role.as_deref()).map_err(|error| match error {
        reeve_accounts::Error::RoleNotFound => invalid_value("'roles' names a role that there is not"),
        error => of_accounts(error),
    })?;
    Ok(())
}
