//! Groups as clients see them.

use std::collections::HashSet;

use reeve_accounts::rights;
use reeve_app::json::Object;
use reeve_app::{App, MatrixError};
use reeve_db::ReadTx;
use reeve_model::{BuiltInRole, Ctx, Membership, Role, RoomNum, Scope, User, UserNum};
use reeve_rooms::membership;
use reeve_store::lists::users::{self as user_list, OrderBy};
use reeve_store::rooms::{self, Room};
use reeve_store::scim_groups::role_id;
use reeve_store::{Paging, audit, memberships, roles, scim_groups, users};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::account::is_resource;
use crate::error::{of_accounts, too_many};
use crate::group_rooms::{manager_id, name_of_room};
use crate::meta::{Meta, object};
use crate::place::Resource;
use crate::reply::{location, with_version};
use crate::times;

/// The maximum number of rooms that are groups.
const MAX_ROOMS: i64 = 10_000;
/// The maximum number of members that a response shows of a group.
const MAX_MEMBERS: i64 = 10_000;
/// The maximum number of members that a page of groups shows.
const MAX_SHOWN: usize = 20_000;

/// A member of a group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    /// The Matrix user id.
    #[schema(required = false, example = "@alice:example.org")]
    value: String,
    #[serde(rename = "$ref")]
    #[schema(required = false)]
    reference: String,
    #[serde(rename = "type")]
    #[schema(required = false)]
    kind: &'static str,
}

/// The Matrix side of a group, if the request asks for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MatrixGroup {
    /// `role`, `space` or `room`.
    #[schema(required = false, example = "space")]
    kind: &'static str,
}

/// A group. `schemas` and `id` are always there, other attributes as the request wants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScimGroup {
    schemas: [&'static str; 2],
    /// `role:` with the name of a role, or the id of a room.
    #[schema(example = "role:support")]
    id: String,
    #[serde(rename = "externalId", skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(rename = "displayName")]
    #[schema(required = false)]
    display_name: String,
    /// The accounts that hold the role, or have joined the room. Users of other servers are not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<Member>>,
    #[serde(rename = "urn:reeve:params:scim:schemas:extension:matrix:2.0:Group")]
    #[schema(required = false)]
    matrix: MatrixGroup,
    #[schema(required = false)]
    meta: Meta,
}

/// A page of groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupList {
    schemas: Vec<String>,
    /// The number of groups that the filter selects.
    #[serde(rename = "totalResults")]
    total: i64,
    /// The place of the first one, from 1.
    #[serde(rename = "startIndex")]
    start: i64,
    #[serde(rename = "itemsPerPage")]
    items: i64,
    #[serde(rename = "Resources")]
    resources: Vec<ScimGroup>,
}

/// A group.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a page has at most some hundred, and most are rooms")]
pub(super) enum Group {
    Role(Role),
    Room(Room),
}

impl Group {
    /// Returns the group with an id, if the actor holds the scope to read it.
    pub(super) fn find(tx: &ReadTx<'_>, app: &App, ctx: &Ctx, id: &str) -> Result<Self, MatrixError> {
        if let Some(name) = id.strip_prefix("role:") {
            rights::check_holds(ctx, Scope::UsersRead).map_err(of_accounts)?;
            return roles::find(tx, name)?.map(Self::Role).ok_or_else(missing);
        }
        let manager = manager_id(app).ok_or_else(missing)?;
        let room = rooms::find(tx, id)?.ok_or_else(missing)?;
        if membership::current(tx, &manager, &room)? == Membership::Join {
            Ok(Self::Room(room))
        } else {
            Err(missing())
        }
    }

    /// Returns all groups that the actor may read: first roles, then rooms.
    pub(super) fn all(tx: &ReadTx<'_>, app: &App, ctx: &Ctx) -> Result<Vec<Self>, MatrixError> {
        let mut groups = Vec::new();
        if ctx.scopes.contains(Scope::UsersRead) {
            groups.extend(BuiltInRole::WORDS.iter().map(|(_, role)| Self::Role(Role::from(*role))));
            groups.extend(roles::own(tx)?.into_iter().map(Self::Role));
        }
        if let Some(manager) = manager_id(app) {
            let joined = rooms::joined_by(tx, &manager, MAX_ROOMS + 1)?;
            if i64::try_from(joined.len()).unwrap_or(i64::MAX) > MAX_ROOMS {
                return Err(too_many(format!("{manager} has joined more than {MAX_ROOMS} rooms")));
            }
            groups.extend(joined.into_iter().map(Self::Room));
        }
        Ok(groups)
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

    fn kind(&self) -> &'static str {
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
    fn some_members(&self, tx: &ReadTx<'_>, app: &App) -> Result<Option<Vec<String>>, MatrixError> {
        let found: Vec<String> = match self {
            Self::Role(role) => {
                let accounts = holders(tx, app, role)?;
                let shown = accounts.into_iter().filter(|user| is_resource(&app.scim, user));
                shown.map(|user| user.user_id).collect()
            }
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

/// Returns the accounts that hold a role, up to one more than a response shows.
fn holders(tx: &ReadTx<'_>, app: &App, role: &Role) -> Result<Vec<User>, MatrixError> {
    if role.name == BuiltInRole::Owner.as_str() {
        let owners = user_list::Filter { admins: Some(true), ..user_list::Filter::default() };
        let paging = Paging { from: 0, limit: MAX_MEMBERS + 1 };
        return Ok(user_list::page(tx, &app.server_name, &owners, OrderBy::Name, false, paging)?.users);
    }
    let nums: Vec<UserNum> = roles::holders(tx, &role.name, MAX_MEMBERS + 1)?;
    Ok(users::by_nums(tx, &nums)?)
}

pub(super) fn missing() -> MatrixError {
    MatrixError::not_found("Group not found")
}

/// Returns groups as clients see them, without members.
pub(super) fn without_members(
    tx: &ReadTx<'_>,
    app: &App,
    groups: &[Group],
) -> Result<Vec<Object>, MatrixError> {
    let ids: Vec<String> = groups.iter().map(Group::id).collect();
    let mut external = scim_groups::of_groups(tx, &ids.iter().map(String::as_str).collect::<Vec<_>>())?;
    let changed = audit::last_on(tx, &groups.iter().map(Group::audited).collect::<Vec<_>>())?;
    let view = |(group, id): (&Group, String)| {
        let created = match group {
            Group::Role(_) => None,
            Group::Room(room) => Some(room.created_ts),
        };
        let modified = changed.get(group.audited()).copied().max(created);
        object(&ScimGroup {
            schemas: Resource::Group.schemas(),
            external_id: external.remove(&id),
            display_name: group.name(),
            members: None,
            matrix: MatrixGroup { kind: group.kind() },
            meta: Meta {
                resource_type: Resource::Group.name(),
                created: created.map(times::text),
                last_modified: modified.map(times::text),
                location: location(app, Resource::Group, &id),
                version: None,
            },
            id,
        })
    };
    groups.iter().zip(ids).map(view).collect()
}

/// Returns a group as clients see it, with its members and its version.
pub(super) fn whole(tx: &ReadTx<'_>, app: &App, group: &Group) -> Result<Object, MatrixError> {
    with_members(app, alone(tx, app, group)?, group.members(tx, app)?)
}

/// Returns a group that was changed as clients see it: without members and version if a response cannot show that many.
pub(super) fn changed(tx: &ReadTx<'_>, app: &App, group: &Group) -> Result<Object, MatrixError> {
    let seen = alone(tx, app, group)?;
    match group.some_members(tx, app)? {
        Some(members) => with_members(app, seen, members),
        None => Ok(seen),
    }
}

fn alone(tx: &ReadTx<'_>, app: &App, group: &Group) -> Result<Object, MatrixError> {
    Ok(without_members(tx, app, std::slice::from_ref(group))?.pop().unwrap_or_default())
}

fn with_members(app: &App, mut seen: Object, members: Vec<String>) -> Result<Object, MatrixError> {
    let member = |value: String| Member {
        reference: location(app, Resource::User, &value),
        value,
        kind: Resource::User.name(),
    };
    let members: Vec<Member> = members.into_iter().map(member).collect();
    if !members.is_empty() {
        let meta = seen.shift_remove("meta");
        seen.insert("members".to_owned(), serde_json::to_value(members).map_err(MatrixError::internal)?);
        seen.extend(meta.map(|meta| ("meta".to_owned(), meta)));
    }
    Ok(with_version(seen))
}

/// Adds members to a page of groups. It ends early where it would show too many members; a group that has too many by itself is
/// shown without them.
pub(super) fn page_with_members(
    tx: &ReadTx<'_>,
    app: &App,
    page: Vec<(Group, Object)>,
) -> Result<Vec<Object>, MatrixError> {
    let mut all = Vec::new();
    let mut shown = 0;
    for (group, seen) in page {
        let Some(members) = group.some_members(tx, app)? else {
            all.push(seen);
            continue;
        };
        shown += members.len();
        if shown > MAX_SHOWN && !all.is_empty() {
            break;
        }
        all.push(with_members(app, seen, members)?);
    }
    Ok(all)
}

/// Adds to groups those of some users who are members, so that a filter can compare them.
pub(super) fn add_some_members(
    tx: &ReadTx<'_>,
    app: &App,
    groups: &mut [(Group, Object)],
    user_ids: &[String],
) -> Result<(), MatrixError> {
    let mut found: Vec<(String, HashSet<String>)> = Vec::new();
    for user_id in user_ids {
        let Some(user) = users::find(tx, user_id)? else { continue };
        let mut ids: HashSet<String> = user.role().map(role_id).into_iter().collect();
        if let Some(manager) = manager_id(app).filter(|manager| manager != user_id) {
            let rooms = memberships::shared_rooms(tx, user_id, &manager, RoomNum::ZERO, MAX_ROOMS)?;
            ids.extend(rooms.into_iter().map(|(_, room_id)| room_id));
        }
        found.push((user_id.clone(), ids));
    }
    for (group, seen) in groups {
        let id = group.id();
        let members = found.iter().filter(|(_, ids)| ids.contains(&id));
        let members: Vec<Value> =
            members.map(|(user_id, _)| json!({ "value": user_id, "type": Resource::User.name() })).collect();
        seen.insert("members".to_owned(), Value::Array(members));
    }
    Ok(())
}
