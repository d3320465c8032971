//! Lists roles.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::{BuiltInRole, Role, Scope};
use reeve_store::roles;
use serde::Serialize;
use utoipa::ToSchema;

use super::RoleView;

/// All roles: the built-in ones, from most to fewest rights, and at most 100 others, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleList {
    roles: Vec<RoleView>,
}

pub(crate) fn route() -> Route {
    Route::read(super::PATH, handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listRoles")
        .summary("Lists roles with their scopes")
        .returns::<RoleList>(200)
}

fn handle(call: &Reading<'_>) -> Answer {
    let built_in = BuiltInRole::WORDS.iter().map(|(_, role)| Role::from(*role));
    let roles = built_in.chain(roles::own(call.tx)?).map(RoleView::from).collect();
    reply::ok(&RoleList { roles })
}
