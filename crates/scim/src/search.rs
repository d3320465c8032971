//! Lists users and then groups, with the query in the body.

use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Route};
use reeve_model::Scope;

use crate::error::{BAD_FILTER, BAD_VALUE, MALFORMED, TOO_MANY, invalid_value};
use crate::place::Resource;
use crate::query::{self, Query};
use crate::{groups, read, users};

pub(crate) fn route() -> Route {
    Route::post("/scim/v2/.search", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("searchScim")
        .summary("Lists the users, and then the groups, that a filter selects")
        .description(
            "A filter on attributes of one type of resources selects none of the other. The two have no order in common, so that \
             `sortBy` is refused. Groups are searched for callers who hold `rooms:read`, too.",
        )
        .takes::<AnyObject>()
        .returns::<AnyObject>(200)
        .errors(&[MALFORMED, BAD_FILTER, BAD_VALUE, TOO_MANY])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<AnyObject>().await?.0;
    if read::text(&body, "sortBy")?.is_some() {
        return Err(invalid_value("Users and groups have no order in common"));
    }
    let of_users = Query::of_body(Resource::User, &body);
    let of_groups = Query::of_body(Resource::Group, &body);
    let (of_users, of_groups) = match (of_users, of_groups) {
        (Err(refused), Err(_)) => return Err(refused),
        (of_users, of_groups) => (of_users.ok(), of_groups.ok()),
    };
    let (mut total, mut shown, mut offset) = (0, Vec::new(), 0);
    if let Some(query) = of_users {
        let page = users::page(&call, &query).await?;
        offset = query.offset;
        total = page.total;
        shown = query.shown_of(Resource::User, page.resources);
    }
    if let Some(mut query) = of_groups.filter(|_| call.caller().holds(Scope::RoomsRead)) {
        offset = query.offset;
        let length = i64::try_from(shown.len()).unwrap_or(i64::MAX);
        query.offset = query.offset.saturating_sub(total).max(0);
        query.count = query.count.saturating_sub(length).max(0);
        let page = groups::page(&call, &query).await?;
        total += page.total;
        shown.extend(query.shown_of(Resource::Group, page.resources));
    }
    query::answer(offset, total, shown)
}
