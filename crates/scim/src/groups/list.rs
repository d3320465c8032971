//! Lists groups.

use reeve_app::{Access, Answer, Call, Route};
use reeve_model::Scope;

use super::select;
use super::view::GroupList;
use crate::error::{BAD_FILTER, BAD_VALUE, TOO_MANY};
use crate::place::Resource;
use crate::query::Query;

pub(super) fn route() -> Route {
    Route::get(super::PATH, handle)
        .access(Access::Admin(Scope::RoomsRead))
        .id("listScimGroups")
        .summary("Lists the groups that a filter selects")
        .description(
            "Groups are roles, for callers who hold `users:read`, and the rooms and spaces that the account of the settings has \
             joined. A filter can name members with `eq`. A page that would show too many members ends early.",
        )
        .query(Query::params())
        .returns::<GroupList>(200)
        .errors(&[BAD_FILTER, BAD_VALUE, TOO_MANY])
}

async fn handle(call: Call) -> Answer {
    let query = Query::of_parameters(Resource::Group, &call.query)?;
    let page = select::page(&call, &query).await?;
    query.answer(Resource::Group, page)
}
