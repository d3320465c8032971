//! Groups, as they are stored: roles and rooms.

use std::collections::{BTreeSet, HashMap, HashSet};

use reeve_accounts::rights;
use reeve_app::{App, MatrixError};
use reeve_db::{DbError, ReadTx};
use reeve_model::{BuiltInRole, Ctx, Membership, Role, RoomNum, Scope, User};
use reeve_rooms::membership;
use reeve_store::lists::rooms as room_list;
use reeve_store::lists::users::{self as user_list, OrderBy};
use reeve_store::rooms::{self, Room};
use reeve_store::scim_groups::{role_id, role_name};
use reeve_store::{Paging, memberships, roles, users};

use crate::account::is_resource;
use crate::error::{of_accounts, too_many};
use crate::group_rooms::{manager_id, name_of_room};

/// The maximum number of rooms that are groups.
const MAX_ROOMS: i64 = 10_000;
/// The maximum number of members that a response shows of a group.
const MAX_MEMBERS: i64 = 10_000;

/// A group.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are at most some thousand, and most are rooms")]
pub(super) enum Group {
    Role(Role),
    Room(Room),
}

impl Group {
    /// Returns the group with an id, if the actor holds the scope to read it.
    pub(super) fn find(tx: &ReadTx<'_>, app: &App, ctx: &Ctx, id: &str) -> Result<Self, MatrixError> {
        if let Some(name) = role_name(id) {
            rights::check_holds(ctx, Scope::UsersRead).map_err(of_accounts)?;
            return roles::find(tx, name)?.map(Self::Role).ok_or_else(missing);
        }
        room(tx, app, id)?.map(Self::Room).ok_or_else(missing)
    }

    pub(super) fn id(&self) -> String {
        match self {
            Self::Role(role) => role_id(&role.name),
            Self::Room(room) => room.room_id.clone(),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Role(role) => role.name.clone(),
            Self::Room(room) => name_of_room(room),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Role(_) => "role",
            Self::Room(room) if room.room_type.as_deref() == Some("m.space") => "space",
            Self::Room(_) => "room",
        }
    }

    /// Returns the thing that the audit log names.
    pub(super) fn audited(&self) -> &str {
        match self {
            Self::Role(role) => &role.name,
            Self::Room(room) => &room.room_id,
        }
    }

    /// Returns the user ids of the members; `None` if they are more than a response shows.
    pub(super) fn some_members(
        &self,
        tx: &ReadTx<'_>,
        app: &App,
    ) -> Result<Option<Vec<String>>, MatrixError> {
        let found: Vec<String> = match self {
            Self::Role(role) => {
                let accounts = holders(tx, app, role)?;
                let shown = accounts.into_iter().filter(|user| is_resource(&app.scim, user));
                shown.map(|user| user.user_id).collect()
            }
            // One of them is the managing account.
            Self::Room(room) if room.joined_members > MAX_MEMBERS + 1 => return Ok(None),
            Self::Room(room) => {
                let manager = manager_id(app);
                let members = memberships::of_room_in(tx, room.num, Membership::Join, MAX_MEMBERS + 2)?;
                let is_shown =
                    |member: &String| app.home.is_local(member) && manager.as_ref() != Some(member);
                members.into_iter().filter(is_shown).collect()
            }
        };
        Ok(i64::try_from(found.len()).is_ok_and(|count| count <= MAX_MEMBERS).then_some(found))
    }

    /// Returns the user ids of the members; an error if they are more than a response shows.
    pub(super) fn members(&self, tx: &ReadTx<'_>, app: &App) -> Result<Vec<String>, MatrixError> {
        self.some_members(tx, app)?.ok_or_else(|| {
            too_many(format!(
                "The group {} has more than {MAX_MEMBERS} members: ask with excludedAttributes=members",
                self.id()
            ))
        })
    }
}

/// Returns the room with an id, if it is a group: if the managing account has joined it.
fn room(tx: &ReadTx<'_>, app: &App, room_id: &str) -> Result<Option<Room>, MatrixError> {
    let (Some(manager), Some(room)) = (manager_id(app), rooms::find(tx, room_id)?) else { return Ok(None) };
    let is_group = membership::current(tx, &manager, &room)? == Membership::Join;
    Ok(is_group.then_some(room))
}

/// Returns the accounts that hold a role, up to one more than a response shows.
fn holders(tx: &ReadTx<'_>, app: &App, role: &Role) -> Result<Vec<User>, DbError> {
    if role.name == BuiltInRole::Owner.as_str() {
        let owners = user_list::Filter { admins: Some(true), ..user_list::Filter::default() };
        let paging = Paging { from: 0, limit: MAX_MEMBERS + 1 };
        return Ok(user_list::page(tx, &app.server_name, &owners, OrderBy::Name, false, paging)?.users);
    }
    users::by_nums(tx, &roles::holders(tx, &role.name, MAX_MEMBERS + 1)?)
}

pub(super) fn missing() -> MatrixError {
    MatrixError::not_found("Group not found")
}

/// A group whose room is not read yet.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Role(Role),
    Room(RoomNum),
}

impl Key {
    /// Returns all groups that the actor may read: first roles, then rooms.
    pub(super) fn all(tx: &ReadTx<'_>, app: &App, ctx: &Ctx) -> Result<Vec<Self>, MatrixError> {
        let mut keys: Vec<Self> = readable_roles(tx, ctx)?.into_iter().map(Self::Role).collect();
        if let Some(manager) = manager_id(app) {
            let limit = MAX_ROOMS + 1;
            let joined = memberships::some_of_user_in(tx, &manager, Membership::Join, RoomNum::ZERO, limit)?;
            if i64::try_from(joined.len()).unwrap_or(i64::MAX) > MAX_ROOMS {
                return Err(too_many(format!("{manager} has joined more than {MAX_ROOMS} rooms")));
            }
            keys.extend(joined.into_iter().map(|member| Self::Room(member.room_num)));
        }
        Ok(keys)
    }

    /// Returns the groups that are in one of some sets, in the order of [`Key::all`].
    pub(super) fn of_sets(tx: &ReadTx<'_>, ctx: &Ctx, sets: &[Set]) -> Result<Vec<Self>, MatrixError> {
        let is_in_one = |role: &Role| sets.iter().any(|set| set.has_role(role));
        let roles = readable_roles(tx, ctx)?.into_iter().filter(is_in_one);
        let rooms: BTreeSet<RoomNum> = sets.iter().flat_map(|set| &set.rooms).copied().collect();
        Ok(roles.map(Self::Role).chain(rooms.into_iter().map(Self::Room)).collect())
    }

    /// Reads groups, in their order.
    pub(super) fn load(tx: &ReadTx<'_>, keys: Vec<Self>) -> Result<Vec<Group>, DbError> {
        let nums: Vec<RoomNum> = keys
            .iter()
            .filter_map(|key| match key {
                Self::Role(_) => None,
                Self::Room(num) => Some(*num),
            })
            .collect();
        let rooms = room_list::by_nums(tx, &nums)?;
        let mut rooms: HashMap<RoomNum, Room> = rooms.into_iter().map(|room| (room.num, room)).collect();
        let groups = keys.into_iter().filter_map(|key| match key {
            Self::Role(role) => Some(Group::Role(role)),
            Self::Room(num) => rooms.remove(&num).map(Group::Room),
        });
        Ok(groups.collect())
    }
}

/// Returns the roles that the actor may read.
fn readable_roles(tx: &ReadTx<'_>, ctx: &Ctx) -> Result<Vec<Role>, DbError> {
    if !ctx.scopes.contains(Scope::UsersRead) {
        return Ok(Vec::new());
    }
    let built_in = BuiltInRole::WORDS.iter().map(|(_, role)| Role::from(*role));
    Ok(built_in.chain(roles::own(tx)?).collect())
}

/// A set of a few groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    /// The name of the role in it.
    role: Option<String>,
    /// The numbers of the rooms in it.
    rooms: HashSet<RoomNum>,
}

impl Set {
    /// Returns the group with an id, if there is one.
    pub(super) fn of_id(tx: &ReadTx<'_>, app: &App, id: &str) -> Result<Self, MatrixError> {
        Ok(match role_name(id) {
            Some(name) => Self { role: Some(name.to_owned()), rooms: HashSet::new() },
            None => Self { role: None, rooms: room(tx, app, id)?.map(|room| room.num).into_iter().collect() },
        })
    }

    /// Returns the groups to which a user belongs.
    pub(super) fn of_member(tx: &ReadTx<'_>, app: &App, user_id: &str) -> Result<Self, DbError> {
        let user = users::find(tx, user_id)?;
        let role = user.as_ref().filter(|user| is_resource(&app.scim, user)).and_then(User::role);
        let mut set = Self { role: role.map(str::to_owned), rooms: HashSet::new() };
        if user.is_some()
            && let Some(manager) = manager_id(app).filter(|manager| manager != user_id)
        {
            let rooms = memberships::shared_rooms(tx, user_id, &manager, RoomNum::ZERO, MAX_ROOMS)?;
            set.rooms.extend(rooms.into_iter().map(|(num, _)| num));
        }
        Ok(set)
    }

    fn has_role(&self, role: &Role) -> bool {
        self.role.as_ref() == Some(&role.name)
    }

    /// Returns true if a group is in it.
    pub(super) fn has(&self, group: &Group) -> bool {
        match group {
            Group::Role(role) => self.has_role(role),
            Group::Room(room) => self.rooms.contains(&room.num),
        }
    }
}
