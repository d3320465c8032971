//! The ids of groups at the identity provider that provisions them with SCIM.

use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Tx, params};
use serde_json::json;

reeve_db::statements! {
    /// `$1`: the ids of the groups, a JSON array.
    OF_GROUPS = {
        sqlite: "SELECT group_id, external_id FROM json_each($1) AS wanted CROSS JOIN scim_groups ON group_id = wanted.value",
        postgres: "SELECT group_id, external_id FROM scim_groups WHERE group_id = ANY (ARRAY( \
                   SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON))))",
    };
    PUT = "INSERT INTO scim_groups (group_id, external_id) VALUES ($1, $2) \
           ON CONFLICT (group_id) DO UPDATE SET external_id = excluded.external_id";
    DELETE = "DELETE FROM scim_groups WHERE group_id = $1";
}

/// The prefix of the id of a group that is a role.
const ROLE: &str = "role:";

/// Returns the id of the group that a role is.
pub fn role_id(name: &str) -> String {
    format!("{ROLE}{name}")
}

/// Returns the name of the role that a group is; `None` for the id of a room.
pub fn role_name(group_id: &str) -> Option<&str> {
    group_id.strip_prefix(ROLE)
}

/// Returns the external ids of some groups, by the ids of the groups; groups without one are left out.
pub fn of_groups(tx: &ReadTx<'_>, group_ids: &[&str]) -> Result<HashMap<String, String>, DbError> {
    let found = tx.query(&OF_GROUPS, &params![json!(group_ids).to_string()], |row| {
        Ok((row.get::<String>(0)?, row.get::<String>(1)?))
    })?;
    Ok(found.into_iter().collect())
}

/// Sets the external id of a group.
pub fn put(tx: &mut Tx<'_>, group_id: &str, external_id: &str) -> Result<(), DbError> {
    tx.execute(&PUT, &params![group_id, external_id])?;
    Ok(())
}

/// Removes the external id of a group.
pub fn delete(tx: &mut Tx<'_>, group_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![group_id])?;
    Ok(())
}
