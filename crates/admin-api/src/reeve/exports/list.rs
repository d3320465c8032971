//! Lists the exports of an account.

use reeve_app::{Access, Answer, Param, Reading, Route, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{cut, from, limit};
use super::UserExport;
use crate::target;

/// A page of the list of exports, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportList {
    exports: Vec<UserExport>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn route() -> Route {
    Route::read(super::OF_USER, handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listUserExports")
        .summary("Lists the exports of an account, the newest first, also those that it ordered itself")
        .query([
            Param::integer("limit", "maximum number of exports, from 1 to 1000; 100 by default"),
            Param::text("from", "the `next_token` of the page before"),
        ])
        .returns::<ExportList>(200)
        .errors(target::ERRORS)
        .errors(&[(
            400,
            "M_INVALID_PARAM",
            "`limit` is malformed, or `from` is not a `next_token` of this list",
        )])
}

fn handle(call: &Reading<'_>) -> Answer {
    let user_id = target::local_user(call, super::REMOTE)?;
    let user = target::found(call.tx, &user_id, "User not found")?;
    let limit = limit(call)?;
    let mut exports = reeve_export::list(call.tx, &user, false, &from(call)?, limit + 1)?;
    let next_token = cut(&mut exports, limit).map(|last| last.sort_key().to_string());
    reply::ok(&ExportList { exports: exports.into_iter().map(UserExport::from).collect(), next_token })
}
