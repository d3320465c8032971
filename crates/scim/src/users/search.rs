//! Lists users, with the query in the body.

use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Route};
use reeve_model::Scope;

use super::select;
use super::view::UserList;
use crate::error::{BAD_FILTER, BAD_VALUE, MALFORMED, TOO_MANY};
use crate::place::Resource;
use crate::query::Query;

pub(super) fn route() -> Route {
    Route::post("/scim/v2/Users/.search", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("searchScimUsers")
        .summary("Lists the users that a filter selects, with the query in the body")
        .takes::<AnyObject>()
        .returns::<UserList>(200)
        .errors(&[MALFORMED, BAD_FILTER, BAD_VALUE, TOO_MANY])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<AnyObject>().await?.0;
    let query = Query::of_body(Resource::User, &body)?;
    let page = select::page(&call, &query).await?;
    query.answer(Resource::User, page)
}
