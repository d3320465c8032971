//! Groups as clients see them.

use std::collections::HashMap;

use reeve_app::json::Object;
use reeve_app::{App, MatrixError};
use reeve_db::ReadTx;
use reeve_store::{audit, scim_groups};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::group::{Group, Set, missing};
use crate::meta::{Meta, object};
use crate::place::Resource;
use crate::reply::{location, with_version};
use crate::times;

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

/// The attributes that are read from other tables than the group itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) external_id: bool,
    pub(super) last_modified: bool,
}

/// Returns groups as clients see them, without members.
pub(super) fn without_members(
    tx: &ReadTx<'_>,
    app: &App,
    groups: &[Group],
) -> Result<Vec<Object>, MatrixError> {
    some_parts(tx, app, groups, Parts { external_id: true, last_modified: true })
}

/// Returns groups as clients see them, without members and with some of the parts that must be read.
pub(super) fn some_parts(
    tx: &ReadTx<'_>,
    app: &App,
    groups: &[Group],
    parts: Parts,
) -> Result<Vec<Object>, MatrixError> {
    let ids: Vec<String> = groups.iter().map(Group::id).collect();
    let mut external = if parts.external_id {
        scim_groups::of_groups(tx, &ids.iter().map(String::as_str).collect::<Vec<_>>())?
    } else {
        HashMap::new()
    };
    let changed = if parts.last_modified {
        audit::last_on(tx, &groups.iter().map(Group::audited).collect::<Vec<_>>())?
    } else {
        HashMap::new()
    };
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

/// Returns a group as clients see it, without its members and its version.
pub(super) fn alone(tx: &ReadTx<'_>, app: &App, group: &Group) -> Result<Object, MatrixError> {
    without_members(tx, app, std::slice::from_ref(group))?.pop().ok_or_else(missing)
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

/// Returns a page of groups with their members. It ends early where it would show too many; a group that has too many by itself is
/// shown without them.
pub(super) fn page_with_members(
    tx: &ReadTx<'_>,
    app: &App,
    page: &[Group],
) -> Result<Vec<Object>, MatrixError> {
    let mut all = Vec::new();
    let mut shown = 0;
    for (group, seen) in page.iter().zip(without_members(tx, app, page)?) {
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

/// A user, and the groups to which the user belongs.
pub(super) struct Belonging {
    pub(super) user_id: String,
    pub(super) groups: Set,
}

/// Adds to a group those of some users who are members, so that a filter can compare them.
pub(super) fn add_members(seen: &mut Object, group: &Group, users: &[Belonging]) {
    let members = users.iter().filter(|user| user.groups.has(group));
    let members = members.map(|user| json!({ "value": user.user_id, "type": Resource::User.name() }));
    seen.insert("members".to_owned(), Value::Array(members.collect()));
}
