//! Media statistics by account.

use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use reeve_model::{Millis, Scope};
use reeve_store::media_statistics::{self, Filter, OrderBy};
use serde::Serialize;
use utoipa::ToSchema;

use crate::paging;

const ORDERS: &[(&str, OrderBy)] = &[
    ("media_length", OrderBy::MediaLength),
    ("media_count", OrderBy::MediaCount),
    ("user_id", OrderBy::UserId),
    ("displayname", OrderBy::Displayname),
];

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserStatistics {
    users: Vec<UserMedia>,
    /// The number of accounts with uploads.
    total: i64,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<i64>,
}

/// The uploads of one account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserMedia {
    user_id: String,
    #[schema(required)]
    displayname: Option<String>,
    media_count: i64,
    /// In bytes.
    media_length: i64,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/statistics/users/media", handle)
        .access(Access::Admin(Scope::MediaRead))
        .id("getUserMediaStatistics")
        .summary("Lists accounts with the number and size of their uploads")
        .query(paging::params("accounts").into_iter().chain([
            Param::choice("order_by", ORDERS, "sort order; `user_id` by default"),
            paging::ascending(),
            Param::integer("from_ts", "only uploads at this time or later, in milliseconds"),
            Param::integer("until_ts", "only uploads at this time or earlier, in milliseconds"),
            Param::text(
                "search_term",
                "only accounts with this text in their localpart or display name, in any case",
            ),
        ]))
        .returns::<UserStatistics>(200)
        .errors(&[(400, "M_UNKNOWN", "a query parameter is not ASCII")])
}

fn handle(call: &Reading<'_>) -> Answer {
    let query = &call.query;
    let order_by = query.choice("order_by", ORDERS)?.unwrap_or(OrderBy::UserId);
    let paging = paging::read(query)?;
    let from_ts = query.integer("from_ts")?.map_or(Millis::ZERO, Millis::new);
    let until_ts = query.integer("until_ts")?.map(Millis::new);
    if until_ts.is_some_and(|until_ts| until_ts <= from_ts) {
        return Err(MatrixError::invalid_param("Query parameter until_ts must be greater than from_ts."));
    }
    let term = query.ascii("search_term")?;
    if term.as_deref() == Some("") {
        return Err(MatrixError::invalid_param("Query parameter search_term cannot be an empty string."));
    }
    let descending = query.backwards()?.unwrap_or(false);
    let within =
        (from_ts > Millis::ZERO || until_ts.is_some()).then(|| (from_ts, until_ts.unwrap_or(Millis::MAX)));
    let filter = Filter { within, term };
    let (users, total) = media_statistics::page(call.tx, &filter, order_by, descending, paging)?;
    let next_token = paging::next(paging, users.len(), total);
    let users = users.into_iter().map(|user| UserMedia {
        user_id: user.user_id,
        displayname: user.displayname,
        media_count: user.media_count,
        media_length: user.media_length,
    });
    reply::ok(&UserStatistics { users: users.collect(), total, next_token })
}
