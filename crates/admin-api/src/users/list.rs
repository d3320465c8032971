//! Lists accounts: filtered, sorted, paged.

use reeve_app::query::Query;
use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use reeve_model::{Millis, Scope, User};
use reeve_store::Paging;
use reeve_store::lists::users::{self as user_list, Filter, OrderBy, Term};
use serde::Serialize;
use utoipa::ToSchema;

/// Maximum number of accounts in a page, whatever the request asks for.
const MAX: i64 = 10_000;

/// Returns the query parameters.
fn query() -> [Param; 11] {
    [
        Param::integer("from", "offset of the first account; 0 by default"),
        Param::integer("limit", "maximum number of accounts; 100 by default, at most 10000"),
        Param::text("user_id", "substring of the user id, in any case; ignored if `name` is given"),
        Param::text("name", "substring of localpart or display name, in any case"),
        Param::boolean("guests", "`false` to exclude guests"),
        Param::boolean(
            "deactivated",
            "v2: `true` to include deactivated accounts. v3: `true` for only these, `false` for none of them",
        ),
        Param::boolean("locked", "`true` to include locked accounts"),
        Param::boolean("admins", "`true` for only administrators, `false` for none of them"),
        Param::choice("order_by", OrderBy::ALL, "sort order; `name` by default"),
        Param::direction("`f` ascending (the default) or `b` descending"),
        Param::texts(
            "not_user_type",
            "a user type to exclude, repeatable; empty for accounts without a type",
        ),
    ]
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
    .query(query())
    .returns::<ListedUsers>(200)
}

pub(crate) fn v3() -> Route {
    Route::read("/_synapse/admin/v3/users", |call| handle(call, |deactivated| deactivated))
        .access(Access::Admin(Scope::UsersRead))
        .id("listUsers")
        .summary("Lists accounts, by default including deactivated ones")
        .query(query())
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
    let from = query.integer("from")?.unwrap_or(0);
    let limit = query.integer("limit")?.unwrap_or(100).min(MAX);
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
    Ok(Page { paging: Paging { from, limit }, filter, order_by, descending })
}

fn handle(call: &Reading<'_>, deactivated: fn(Option<bool>) -> Option<bool>) -> Answer {
    let Page { paging, filter, order_by, descending } = page(&call.query, deactivated)?;
    let page = user_list::page(call.tx, &call.app.server_name, &filter, order_by, descending, paging)?;
    let Paging { from, limit } = paging;
    let returned = i64::try_from(page.users.len()).unwrap_or(limit);
    let more = from.saturating_add(limit) < page.total;
    reply::ok(&ListedUsers {
        users: page.users.into_iter().map(ListedUser::from).collect(),
        total: page.total,
        next_token: more.then(|| from.saturating_add(returned).to_string()),
    })
}
