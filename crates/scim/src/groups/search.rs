//! Lists groups, with the query in the body.

use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Route};
use reeve_model::Scope;

use super::select;
use super::view::GroupList;
use crate::error::{BAD_FILTER, BAD_VALUE, MALFORMED, TOO_MANY};
use crate::place::Resource;
use crate::query::Query;

pub(super) fn route() -> Route {
    Route::post("/scim/v2/Groups/.search", handle)
        .access(Access::Admin(Scope::RoomsRead))
        .id("searchScimGroups")
        .summary("Lists the groups that a filter selects, with the query in the body")
        .takes::<AnyObject>()
        .returns::<GroupList>(200)
        .errors(&[MALFORMED, BAD_FILTER, BAD_VALUE, TOO_MANY])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<AnyObject>().await?.0;
    let query = Query::of_body(Resource::Group, &body)?;
    let page = select::page(&call, &query).await?;
    query.answer(Resource::Group, page)
}
