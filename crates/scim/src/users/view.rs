//! Users as clients see them.

use std::collections::{BTreeSet, HashMap};

use reeve_app::json::Object;
use reeve_app::{App, MatrixError};
use reeve_db::{DbError, ReadTx};
use reeve_model::{RoomNum, User, UserNum};
use reeve_store::lists::rooms as room_list;
use reeve_store::threepids::Threepid;
use reeve_store::{audit, external_ids, memberships, scim_groups, threepids};
use serde::Serialize;
use utoipa::ToSchema;

use crate::account::{is_active, is_resource};
use crate::group_rooms::{manager_id, name_of_room};
use crate::meta::{Meta, object};
use crate::name::Names;
use crate::place::Resource;
use crate::reply::{location, with_version};
use crate::schema::{EMAIL_TYPE, PHONE_TYPE};
use crate::times;

/// The maximum number of rooms among the groups of a user.
const MAX_GROUPS: i64 = 500;

/// The name of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Name {
    formatted: String,
}

/// An address of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Address {
    #[schema(required = false)]
    value: String,
    #[serde(rename = "type")]
    #[schema(required = false, example = "work")]
    kind: &'static str,
}

/// A role of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleName {
    #[schema(example = "support")]
    value: String,
}

/// A group of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupOfUser {
    #[schema(required = false)]
    value: String,
    #[serde(rename = "$ref")]
    #[schema(required = false)]
    reference: String,
    #[schema(required = false)]
    display: String,
    #[serde(rename = "type")]
    #[schema(required = false)]
    kind: &'static str,
}

/// The Matrix side of an account, if the request asks for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MatrixUser {
    #[serde(rename = "userId")]
    #[schema(required = false, example = "@alice:example.org")]
    user_id: String,
    #[schema(required = false)]
    locked: bool,
    #[schema(required = false)]
    deactivated: bool,
    /// True for an owner of the server.
    #[schema(required = false)]
    admin: bool,
}

/// A user. `schemas` and `id` are always there, other attributes as the request wants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScimUser {
    schemas: [&'static str; 2],
    /// The Matrix user id.
    #[schema(example = "@alice:example.org")]
    id: String,
    #[serde(rename = "externalId", skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(rename = "userName")]
    #[schema(required = false, example = "alice")]
    user_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(rename = "displayName", skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[schema(required = false)]
    active: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    emails: Vec<Address>,
    #[serde(rename = "phoneNumbers", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    phone_numbers: Vec<Address>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    groups: Vec<GroupOfUser>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    roles: Vec<RoleName>,
    #[serde(rename = "urn:reeve:params:scim:schemas:extension:matrix:2.0:User")]
    #[schema(required = false)]
    matrix: MatrixUser,
    #[schema(required = false)]
    meta: Meta,
}

/// A page of users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    schemas: Vec<String>,
    /// The number of users that the filter selects.
    #[serde(rename = "totalResults")]
    total: i64,
    /// The place of the first one, from 1.
    #[serde(rename = "startIndex")]
    start: i64,
    #[serde(rename = "itemsPerPage")]
    items: i64,
    #[serde(rename = "Resources")]
    resources: Vec<ScimUser>,
}

/// Returns some accounts as users, without their groups if those need not be read.
pub(super) fn users(
    tx: &ReadTx<'_>,
    app: &App,
    accounts: Vec<User>,
    with_groups: bool,
) -> Result<Vec<Object>, MatrixError> {
    let nums: Vec<UserNum> = accounts.iter().map(|user| user.num).collect();
    let ids: Vec<&str> = accounts.iter().map(|user| user.user_id.as_str()).collect();
    let mut addresses = threepids::of_users(tx, &nums)?;
    let mut external = external_ids::of_users(tx, &nums)?;
    let changed = audit::last_on(tx, &ids)?;
    let mut groups = if with_groups { groups_of(tx, app, &accounts)? } else { HashMap::new() };
    let mut all = Vec::new();
    for user in accounts {
        let own = addresses.remove(&user.num).unwrap_or_default();
        let external_id = external
            .remove(&user.num)
            .unwrap_or_default()
            .into_iter()
            .find(|id| id.auth_provider == app.scim.external_id_provider)
            .map(|id| id.external_id);
        let modified = changed.get(&user.user_id).copied().unwrap_or_default().max(user.created_ts);
        let display_name = user.displayname.clone().filter(|name| !name.is_empty());
        let view = ScimUser {
            schemas: Resource::User.schemas(),
            external_id,
            user_name: names(app).of(user.localpart()),
            name: display_name.clone().map(|formatted| Name { formatted }),
            display_name,
            active: is_active(&app.scim, &user),
            emails: of_medium(&own, "email", EMAIL_TYPE),
            phone_numbers: of_medium(&own, "msisdn", PHONE_TYPE),
            groups: groups.remove(&user.num).unwrap_or_default(),
            roles: user.role().map(|role| RoleName { value: role.to_owned() }).into_iter().collect(),
            matrix: MatrixUser {
                user_id: user.user_id.clone(),
                locked: user.locked,
                deactivated: user.deactivated,
                admin: user.admin,
            },
            meta: Meta {
                resource_type: Resource::User.name(),
                created: Some(times::text(user.created_ts)),
                last_modified: Some(times::text(modified)),
                location: location(app, Resource::User, &user.user_id),
                version: None,
            },
            id: user.user_id,
        };
        all.push(object(&view)?);
    }
    Ok(all)
}

/// Returns an account as a user with a version; `None` if it is not a resource.
pub(crate) fn user(tx: &ReadTx<'_>, app: &App, account: User) -> Result<Option<Object>, MatrixError> {
    if !is_resource(&app.scim, &account) {
        return Ok(None);
    }
    Ok(users(tx, app, vec![account], true)?.pop().map(with_version))
}

/// Returns the names of users on this server.
pub(super) fn names(app: &App) -> Names<'_> {
    Names { server_name: &app.server_name, domain: app.scim.user_name_domain.as_deref() }
}

fn of_medium(all: &[Threepid], medium: &str, kind: &'static str) -> Vec<Address> {
    let own = all.iter().filter(|threepid| threepid.medium == medium);
    own.map(|threepid| Address { value: threepid.address.clone(), kind }).collect()
}

/// Returns the groups to which accounts belong, by the number of the account: its role, and the rooms that it has joined with
/// their manager.
fn groups_of(
    tx: &ReadTx<'_>,
    app: &App,
    accounts: &[User],
) -> Result<HashMap<UserNum, Vec<GroupOfUser>>, DbError> {
    let group = |value: String, display: String| GroupOfUser {
        reference: location(app, Resource::Group, &value),
        value,
        display,
        kind: "direct",
    };
    let mut groups: HashMap<UserNum, Vec<GroupOfUser>> = HashMap::new();
    for user in accounts {
        if let Some(role) = user.role() {
            let of_role = group(scim_groups::role_id(role), role.to_owned());
            groups.entry(user.num).or_default().push(of_role);
        }
    }
    let Some(manager) = manager_id(app) else { return Ok(groups) };
    let ids: Vec<&str> =
        accounts.iter().map(|user| user.user_id.as_str()).filter(|id| *id != manager).collect();
    let joined = memberships::shared_rooms_of(tx, &ids, &manager, MAX_GROUPS)?;
    let nums: BTreeSet<RoomNum> = joined.values().flatten().copied().collect();
    let found = room_list::by_nums(tx, &nums.into_iter().collect::<Vec<_>>())?;
    let named = found.into_iter().map(|room| (room.num, (name_of_room(&room), room.room_id)));
    let rooms: HashMap<RoomNum, (String, String)> = named.collect();
    for user in accounts {
        let of_user = joined.get(&user.user_id).into_iter().flatten();
        let of_user = of_user.filter_map(|num| rooms.get(num));
        let of_user = of_user.map(|(name, room_id)| group(room_id.clone(), name.clone()));
        groups.entry(user.num).or_default().extend(of_user);
    }
    Ok(groups)
}
