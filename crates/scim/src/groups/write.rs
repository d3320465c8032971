//! Changes of groups, as deeds on roles and rooms: each in one transaction, all or nothing.

use std::collections::HashSet;

use reeve_accounts::users::NewUser;
use reeve_accounts::{Policy, audit, rights, roles, users as accounts};
use reeve_app::json::Object;
use reeve_app::{App, MatrixError, NewGroups};
use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, Scope, User};
use reeve_rooms::create::{self, NewRoom, Preset};
use reeve_rooms::deletion::{self, Order};
use reeve_rooms::event::{self, Draft};
use reeve_rooms::{membership, room_admin, types};
use reeve_store::rooms::Room;
use reeve_store::{scim_groups, users};
use serde_json::{Map, json};

use super::change::{Change, Members};
use super::group::Group;
use super::view;
use crate::account::is_resource;
use crate::error::{mutability, of_accounts, too_many};
use crate::group_rooms::{manager_id, name_of_room};
use crate::reply::Precondition;

/// The maximum number of members that a request adds and removes: each is an event of a room.
const MAX_CHANGED: usize = 500;

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

/// Creates a group: a private space or room of the managing account.
pub(super) fn create(tx: &mut Tx<'_>, app: &App, ctx: &Ctx, new: &Change) -> Result<Object, MatrixError> {
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
    change_group(tx, app, ctx, Group::Room(room), &change)
}

/// Changes a group.
pub(super) fn update(
    tx: &mut Tx<'_>,
    app: &App,
    ctx: &Ctx,
    target: &Target,
    change: &Change,
) -> Result<Object, MatrixError> {
    let group = target.load(tx, app, ctx)?;
    change_group(tx, app, ctx, group, change)
}

/// Deletes a group: everybody leaves the room, or the role is deleted, if nobody holds it.
pub(super) fn delete(tx: &mut Tx<'_>, app: &App, ctx: &Ctx, target: &Target) -> Result<(), MatrixError> {
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

fn change_group(
    tx: &mut Tx<'_>,
    app: &App,
    ctx: &Ctx,
    mut group: Group,
    change: &Change,
) -> Result<Object, MatrixError> {
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
    let mut left = MAX_CHANGED;
    for members in &change.members {
        let (add, remove) = match members {
            Members::Add(ids) => (ids.clone(), Vec::new()),
            Members::Remove(ids) => (Vec::new(), ids.clone()),
            Members::Set(ids) => {
                let present = group.members(tx, app)?;
                let (had, wanted): (HashSet<&String>, HashSet<&String>) =
                    (present.iter().collect(), ids.iter().collect());
                let add = ids.iter().filter(|id| !had.contains(id)).cloned().collect();
                (add, present.iter().filter(|id| !wanted.contains(id)).cloned().collect())
            }
        };
        left = left.checked_sub(add.len() + remove.len()).ok_or_else(|| {
            too_many(format!("A request cannot add and remove more than {MAX_CHANGED} members"))
        })?;
        for id in &remove {
            remove_member(tx, app, ctx, &group, id)?;
        }
        for id in &add {
            add_member(tx, app, ctx, &group, id)?;
        }
    }
    view::changed(tx, app, &group)
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
