//! Roles: named sets of scopes that accounts hold.

mod delete;
mod get;
mod list;
mod of_user;
mod put;

use reeve_app::Route;
use reeve_model::{BuiltInRole, Role, Scopes};
use serde::Serialize;
use utoipa::ToSchema;

const PATH: &str = "/_reeve/admin/v1/roles";
const ONE: &str = "/_reeve/admin/v1/roles/{name}";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such role");
const NOT_CHANGED: (u16, &str, &str) =
    (403, "M_FORBIDDEN", "the role is built in, or the caller does not hold its scopes");

pub(crate) fn routes() -> Vec<Route> {
    vec![list::route(), get::route(), put::route(), delete::route(), of_user::get(), of_user::put()]
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleView {
    /// The name.
    #[schema(example = "support")]
    name: String,
    /// Its purpose.
    description: String,
    /// The scopes that its holders have.
    #[schema(value_type = Vec<String>, example = json!(["users:read", "users:write"]))]
    scopes: Scopes,
    /// True if every server has it; such a role cannot be changed.
    built_in: bool,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        let built_in = role.name.parse::<BuiltInRole>().is_ok();
        Self { name: role.name, description: role.description, scopes: role.scopes, built_in }
    }
}
