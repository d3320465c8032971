//! Lists accounts: filtered, sorted, paged.

use reeve_app::query::Query;
use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use reeve_model::{Millis, Scope, User};
use reeve_store::Paging;
use reeve_store::lists::users::{self as user_list, Filter, OrderBy, Term};
use serde::Serialize;
use utoipa::ToSchema;

use super::selection;
use crate::paging;

/// The meaning of the parameter `deactivated` in v2.
const DEACTIVATED: &str = "`true` to include deactivated accounts";

/// Returns the query parameters.
fn query(deactivated: &'static str) -> impl Iterator<Item = Param> {
    paging::params("accounts").into_iter().chain(selection::common(deactivated)).chain(selection::order())
}

/// An account in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedUser {
    /// The full user id.
    #[schema(example = "@alice:example.org")]
    name: String,
    #[schema(required)]
    user_type: Option<String>,
    is_guest: bool,
    admin: bool,
    deactivated: bool,
    shadow_banned: bool,
    #[schema(required)]
    displayname: Option<String>,
    #[schema(required)]
    avatar_url: Option<String>,
    /// When the account was created, in **milliseconds**.
    creation_ts: i64,
    erased: bool,
    /// When it was last seen, in milliseconds.
    #[schema(required)]
    last_seen_ts: Option<i64>,
    locked: bool,
}

impl From<User> for ListedUser {
    fn from(user: User) -> Self {
        Self {
            name: user.user_id,
            user_type: user.user_type,
            is_guest: user.is_guest,
            admin: user.admin,
            deactivated: user.deactivated,
            shadow_banned: user.shadow_banned,
            displayname: user.displayname,
            avatar_url: user.avatar_url,
            creation_ts: user.created_ts.get(),
            erased: user.erased,
            last_seen_ts: user.last_seen_ts.map(Millis::get),
            locked: user.locked,
        }
    }
}

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedUsers {
    users: Vec<ListedUser>,
    /// The number of accounts that match the filter.
    total: i64,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn v2() -> Route {
    Route::read("/_synapse/admin/v2/users", |call| {
        handle(call, |deactivated| Some(false).filter(|_| deactivated != Some(true)))
    })
    .access(Access::Admin(Scope::UsersRead))
    .id("listUsersV2")
    .summary("Lists accounts, by default without deactivated and locked ones")
    .query(query(DEACTIVATED))
    .returns::<ListedUsers>(200)
}

pub(crate) fn v3() -> Route {
    Route::read("/_synapse/admin/v3/users", |call| handle(call, |deactivated| deactivated))
        .access(Access::Admin(Scope::UsersRead))
        .id("listUsers")
        .summary("Lists accounts, by default including deactivated ones")
        .query(query(selection::DEACTIVATED))
        .returns::<ListedUsers>(200)
}

struct Page {
    paging: Paging,
    filter: Filter,
    order_by: OrderBy,
    descending: bool,
}

/// Reads the parameters in the order in which their errors are reported.
fn page(query: &Query, deactivated: fn(Option<bool>) -> Option<bool>) -> Result<Page, MatrixError> {
    let paging = paging::read(query)?;
    let user_id = query.ascii("user_id")?.filter(|text| !text.is_empty());
    let name = query.utf8("name")?.filter(|text| !text.is_empty());
    let guests = query.boolean("guests")?;
    let deactivated = deactivated(query.boolean("deactivated")?);
    let locked = query.boolean("locked")?;
    let admins = query.boolean("admins")?;
    let order_by = query.choice("order_by", OrderBy::ALL)?.unwrap_or(OrderBy::Name);
    let descending = query.backwards()?.unwrap_or(false);
    let not_user_types = query.all_ascii("not_user_type")?;
    let filter = Filter {
        term: name.map(Term::Name).or_else(|| user_id.map(Term::UserId)),
        guests: Some(false).filter(|_| guests == Some(false)),
        deactivated,
        locked: Some(false).filter(|_| locked != Some(true)),
        admins,
        not_user_types: not_user_types
            .into_iter()
            .map(|user_type| Some(user_type).filter(|t| !t.is_empty()))
            .collect(),
    };
    Ok(Page { paging, filter, order_by, descending })
}

fn handle(call: &Reading<'_>, deactivated: fn(Option<bool>) -> Option<bool>) -> Answer {
    let Page { paging, filter, order_by, descending } = page(&call.query, deactivated)?;
    let page = user_list::page(call.tx, &call.app.server_name, &filter, order_by, descending, paging)?;
    reply::ok(&ListedUsers {
        next_token: paging::next(paging, page.users.len(), page.total).map(|next| next.to_string()),
        users: page.users.into_iter().map(ListedUser::from).collect(),
        total: page.total,
    })
}
