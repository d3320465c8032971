//! Lists users.

use reeve_app::{Access, Answer, Call, Route};
use reeve_model::Scope;

use super::select;
use super::view::UserList;
use crate::error::{BAD_FILTER, BAD_VALUE, TOO_MANY};
use crate::place::Resource;
use crate::query::Query;

pub(super) fn route() -> Route {
    Route::get(super::PATH, handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listScimUsers")
        .summary("Lists the users that a filter selects")
        .description(
            "`userName`, `id`, `externalId`, addresses, `active`, `meta.created` and `roles` are found in any number of accounts. \
             The number of accounts that the rest of a filter, joined by `and`, has to look at is bounded; more is refused with \
             `tooMany`. Sorted by `userName`, `displayName` or `meta.created`.",
        )
        .query(Query::params())
        .returns::<UserList>(200)
        .errors(&[BAD_FILTER, BAD_VALUE, TOO_MANY])
}

async fn handle(call: Call) -> Answer {
    let query = Query::of_parameters(Resource::User, &call.query)?;
    let page = select::page(&call, &query).await?;
    query.answer(Resource::User, page)
}
