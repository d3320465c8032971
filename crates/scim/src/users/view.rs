//! Users as clients see them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use reeve_app::json::Object;
use reeve_app::{App, MatrixError};
use reeve_db::{DbError, ReadTx};
use reeve_model::{RoomNum, User, UserNum};
use reeve_store::threepids::Threepid;
use reeve_store::{audit, external_ids, memberships, rooms, scim_groups, threepids};
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
    let mut names_of_rooms = HashMap::new();
    let mut all = Vec::new();
    for user in accounts {
        let own = addresses.remove(&user.num).unwrap_or_default();
        let external_id = external
            .remove(&user.num)
            .unwrap_or_default()
            .into_iter()
            .find(|id| id.auth_provider == app.scim.external_id_provider)
            .map(|id| id.external_id);
        let groups = if with_groups { groups_of(tx, app, &user, &mut names_of_rooms)? } else { Vec::new() };
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
            groups,
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

/// Returns the groups to which an account belongs: its role, and the rooms that it has joined with their manager. The names of
/// rooms are read once for all accounts of a response.
fn groups_of(
    tx: &ReadTx<'_>,
    app: &App,
    user: &User,
    names: &mut HashMap<RoomNum, String>,
) -> Result<Vec<GroupOfUser>, DbError> {
    let of = |value: String, display: String| GroupOfUser {
        reference: location(app, Resource::Group, &value),
        value,
        display,
        kind: "direct",
    };
    let mut groups: Vec<GroupOfUser> =
        user.role().map(|role| of(scim_groups::role_id(role), role.to_owned())).into_iter().collect();
    if let Some(manager) = manager_id(app).filter(|manager| *manager != user.user_id) {
        for (num, room_id) in
            memberships::shared_rooms(tx, &user.user_id, &manager, RoomNum::ZERO, MAX_GROUPS)?
        {
            let name = match names.entry(num) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(unknown) => {
                    let room = rooms::by_num(tx, num)?;
                    unknown.insert(room.as_ref().map_or_else(|| room_id.clone(), name_of_room)).clone()
                }
            };
            groups.push(of(room_id, name));
        }
    }
    Ok(groups)
}
