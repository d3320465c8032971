//! Changes of groups, as deeds on roles and rooms.
//!
//! Each member that a request adds or removes is an event of a room, so that many of them take several short transactions, between
//! which others write. The first one makes all other changes, too; each of the rest checks caller and group again. Since a step that is
//! taken again changes nothing, repeating a request completes what was broken off.

use std::sync::Arc;

use reeve_accounts::users::NewUser;
use reeve_accounts::{Policy, audit, rights, roles, users as accounts};
use reeve_app::json::Object;
use reeve_app::{App, Call, MatrixError, NewGroups};
use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, Scope, User};
use reeve_rooms::create::{self, NewRoom, Preset};
use reeve_rooms::deletion::{self, Order};
use reeve_rooms::event::{self, Draft};
use reeve_rooms::{membership, room_admin, types};
use reeve_store::rooms::Room;
use reeve_store::{scim_groups, users};
use serde_json::{Map, json};

use super::change::{Change, Step, steps};
use super::group::Group;
use super::view;
use crate::account::is_resource;
use crate::error::{mutability, of_accounts, too_many};
use crate::group_rooms::{manager_id, name_of_room};
use crate::reply::Precondition;

/// The maximum number of members that a request adds and removes.
const MAX_STEPS: usize = 500;
/// The number of members that a transaction adds and removes: those of a room take positions of the stream, for which all others
/// wait. It is not bounded by time, so that a request with so few members is always one change, all or nothing.
const STEPS_AT_ONCE: usize = 10;

/// The group that a request changes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) group_id: String,
    pub(super) precondition: Precondition,
}

impl Target {
    fn load(&self, tx: &ReadTx<'_>, app: &App, ctx: &Ctx) -> Result<Group, MatrixError> {
        let group = Group::find(tx, app, ctx, &self.group_id)?;
        let scope = match &group {
            Group::Role(_) => Scope::AdminsWrite,
            Group::Room(_) => Scope::RoomsWrite,
        };
        rights::check_holds(ctx, scope).map_err(of_accounts)?;
        if self.precondition.is_given() {
            self.precondition.check(&view::whole(tx, app, &group)?)?;
        }
        Ok(group)
    }
}

/// The state of a change after one of its transactions.
enum Progress {
    /// It is complete, and clients see the group so.
    Complete(Object),
    /// Some steps are left.
    Left(Rest),
}

/// The steps of a change that are left.
struct Rest {
    group_id: String,
    steps: Vec<Step>,
}

impl Rest {
    /// Takes the steps, some in each transaction, and returns the group.
    async fn complete(self, call: &Call) -> Result<Object, MatrixError> {
        let Self { group_id, mut steps } = self;
        loop {
            let (app, ctx) = (Arc::clone(&call.app), call.admin_ctx()?);
            // The first transaction checked the version, which is another one now.
            let target = Target { group_id: group_id.clone(), precondition: Precondition::default() };
            let progress = call.write(move |tx| -> Result<Progress, MatrixError> {
                let group = target.load(tx, &app, &ctx)?;
                take_some(tx, &app, &ctx, &group, &steps)
            });
            match progress.await? {
                Progress::Complete(group) => return Ok(group),
                Progress::Left(rest) => steps = rest.steps,
            }
        }
    }
}

/// Creates a group and returns it. A group whose members are refused is deleted again, since the client does not know of it.
pub(super) async fn create(call: &Call, new: Change) -> Result<Object, MatrixError> {
    let (app, ctx) = (Arc::clone(&call.app), call.admin_ctx()?);
    let rest = match call.write(move |tx| create_room(tx, &app, &ctx, &new)).await? {
        Progress::Complete(group) => return Ok(group),
        Progress::Left(rest) => rest,
    };
    let target = Target { group_id: rest.group_id.clone(), precondition: Precondition::default() };
    match rest.complete(call).await {
        Ok(group) => Ok(group),
        Err(refused) => {
            delete(call, target).await?;
            Err(refused)
        }
    }
}

/// Changes a group and returns it.
pub(super) async fn update(call: &Call, target: Target, change: Change) -> Result<Object, MatrixError> {
    let (app, ctx) = (Arc::clone(&call.app), call.admin_ctx()?);
    let progress = call.write(move |tx| -> Result<Progress, MatrixError> {
        let group = target.load(tx, &app, &ctx)?;
        begin(tx, &app, &ctx, group, &change)
    });
    match progress.await? {
        Progress::Complete(group) => Ok(group),
        Progress::Left(rest) => rest.complete(call).await,
    }
}

/// Deletes a group: everybody leaves the room, or the role is deleted, if nobody holds it.
pub(super) async fn delete(call: &Call, target: Target) -> Result<(), MatrixError> {
    let (app, ctx) = (Arc::clone(&call.app), call.admin_ctx()?);
    call.write(move |tx| delete_one(tx, &app, &ctx, &target)).await
}

fn delete_one(tx: &mut Tx<'_>, app: &App, ctx: &Ctx, target: &Target) -> Result<(), MatrixError> {
    match target.load(tx, app, ctx)? {
        Group::Role(role) => roles::delete(tx, ctx, &role.name).map_err(of_accounts)?,
        Group::Room(mut room) => {
            // Without the managing account the room is no group any more; the rest of the members follow.
            let manager = manager(tx, app, ctx)?;
            membership::leave(tx, &app.home, ctx, &manager.user_id, &mut room, None)?;
            let order = Order {
                room_id: room.room_id.clone(),
                block: false,
                purge: false,
                force_purge: false,
                bin: false,
                substitute: None,
            };
            deletion::order(tx, &app.home, ctx, &order)?;
            scim_groups::delete(tx, &room.room_id)?;
        }
    }
    Ok(())
}

/// Creates a private space or room of the managing account, and begins to fill it.
fn create_room(tx: &mut Tx<'_>, app: &App, ctx: &Ctx, new: &Change) -> Result<Progress, MatrixError> {
    rights::check_holds(ctx, Scope::RoomsWrite).map_err(of_accounts)?;
    let manager = manager(tx, app, ctx)?;
    let creation_content = match app.scim.new_groups {
        NewGroups::Space => Map::from_iter([("type".to_owned(), json!("m.space"))]),
        NewGroups::Room => Map::new(),
    };
    let wanted = NewRoom {
        preset: Some(Preset::PrivateChat),
        name: new.name.clone(),
        creation_content,
        // The identity provider decides who is a member.
        power_levels: Map::from_iter([("invite".to_owned(), json!(50))]),
        ..NewRoom::default()
    };
    let room = create::create(tx, &app.home, ctx, &manager, &wanted)?;
    audit::record(tx, ctx, "group.create", &room.room_id, &json!({ "name": new.name }))?;
    let change = Change { name: None, ..new.clone() };
    begin(tx, app, ctx, Group::Room(room), &change)
}

/// Changes name and external id of a group, and takes the first steps towards its members.
fn begin(
    tx: &mut Tx<'_>,
    app: &App,
    ctx: &Ctx,
    mut group: Group,
    change: &Change,
) -> Result<Progress, MatrixError> {
    let id = group.id();
    let mut changes = Map::new();
    if let Some(name) = change.name.as_ref().filter(|name| **name != group.name()) {
        match &mut group {
            Group::Role(_) => return Err(mutability("displayName")),
            Group::Room(room) => rename(tx, app, ctx, room, name)?,
        }
        changes.insert("name".to_owned(), json!(name));
    }
    if let Some(external_id) = &change.external_id {
        let known = scim_groups::of_groups(tx, &[&id])?.remove(&id);
        if known != *external_id {
            match external_id {
                Some(external_id) => scim_groups::put(tx, &id, external_id)?,
                None => scim_groups::delete(tx, &id)?,
            }
            changes.insert("external_id".to_owned(), json!(external_id));
        }
    }
    if !changes.is_empty() {
        audit::record(tx, ctx, "group.update", group.audited(), &changes.into())?;
    }
    let steps = steps(&change.members, || group.members(tx, app))?;
    if steps.len() > MAX_STEPS {
        return Err(too_many(format!("A request cannot add and remove more than {MAX_STEPS} members")));
    }
    take_some(tx, app, ctx, &group, &steps)
}

/// Takes the first of some steps.
fn take_some(
    tx: &mut Tx<'_>,
    app: &App,
    ctx: &Ctx,
    group: &Group,
    steps: &[Step],
) -> Result<Progress, MatrixError> {
    let (now, later) = steps.split_at(steps.len().min(STEPS_AT_ONCE));
    for step in now {
        match step {
            Step::Add(id) => add_member(tx, app, ctx, group, id)?,
            Step::Remove(id) => remove_member(tx, app, ctx, group, id)?,
        }
    }
    if later.is_empty() {
        Ok(Progress::Complete(view::changed(tx, app, group)?))
    } else {
        Ok(Progress::Left(Rest { group_id: group.id(), steps: later.to_vec() }))
    }
}

fn rename(tx: &mut Tx<'_>, app: &App, ctx: &Ctx, room: &mut Room, name: &str) -> Result<(), MatrixError> {
    let manager = manager(tx, app, ctx)?;
    let content = Map::from_iter([("name".to_owned(), json!(name))]);
    let draft = Draft::state(types::NAME, "", &manager.user_id, content);
    event::append(tx, &app.home, room, draft, ctx.now)?;
    debug_assert_eq!(name_of_room(room), name, "a room has the name of its state");
    Ok(())
}

/// Returns the account with an id, if it can be a member of a group.
fn member(tx: &ReadTx<'_>, app: &App, id: &str) -> Result<Option<User>, MatrixError> {
    let user = users::find(tx, id)?;
    Ok(user.filter(|user| is_resource(&app.scim, user)))
}

/// Adds a member. One that is not a user here, or not any more, is left out: an identity provider need not know.
fn add_member(tx: &mut Tx<'_>, app: &App, ctx: &Ctx, group: &Group, id: &str) -> Result<(), MatrixError> {
    let Some(user) = member(tx, app, id)?.filter(|user| !user.deactivated) else { return Ok(()) };
    match group {
        Group::Role(role) if user.role() == Some(&role.name) => {}
        Group::Role(role) => {
            roles::set(tx, ctx, &user.user_id, Some(&role.name)).map_err(of_accounts)?;
        }
        Group::Room(room) => {
            let manager = manager(tx, app, ctx)?;
            room_admin::join(tx, &app.home, ctx, Some(&manager), &user.user_id, &room.room_id)?;
        }
    }
    Ok(())
}

fn remove_member(tx: &mut Tx<'_>, app: &App, ctx: &Ctx, group: &Group, id: &str) -> Result<(), MatrixError> {
    let Some(user) = member(tx, app, id)? else { return Ok(()) };
    match group {
        Group::Role(role) if user.role() == Some(&role.name) => {
            roles::set(tx, ctx, &user.user_id, None).map_err(of_accounts)?;
        }
        Group::Role(_) => {}
        Group::Room(room) => {
            room_admin::remove(tx, &app.home, ctx, &user, &room.room_id)?;
        }
    }
    Ok(())
}

/// Returns the account that manages the rooms of groups. It is created when it is first needed, and nobody can log in as it.
fn manager(tx: &mut Tx<'_>, app: &App, ctx: &Ctx) -> Result<User, MatrixError> {
    let (Some(user_id), Some(localpart)) = (manager_id(app), &app.scim.groups_localpart) else {
        let text = "Groups that are rooms need the setting 'scim.groups_localpart'";
        return Err(MatrixError::new(501, "", text));
    };
    if let Some(user) = users::find(tx, &user_id)? {
        return Ok(user);
    }
    let new =
        NewUser { localpart: localpart.clone(), displayname: Some(localpart.clone()), ..NewUser::default() };
    // The rules here reserve the name for nobody.
    accounts::create(tx, ctx, &Policy::default(), &new).map_err(of_accounts)
}
