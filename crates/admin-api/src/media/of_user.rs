//! The uploads of an account: the list, and deleting a page of it.

use http::Method;
use reeve_app::query::Query;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Reading, Route, reply};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Millis, Scope};
use reeve_store::Paging;
use reeve_store::lists::media::{self as media_list, OrderBy, Shown};
use reeve_store::media_users;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Deleted, delete_all};
use crate::{paging, target};

/// Returns the query parameters.
fn query() -> impl Iterator<Item = Param> {
    paging::params("uploads").into_iter().chain([
        Param::choice("order_by", OrderBy::ALL, "sort order; `created_ts` by default"),
        Param::direction(
            "`f` ascending (the default) or `b` descending (the default if `order_by` is absent, too)",
        ),
    ])
}

const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_INVALID_PARAM", "the user id or a query parameter is not valid"),
    (400, "M_UNKNOWN", "the account is on another server"),
    (404, "M_NOT_FOUND", "there is no such account"),
];

const REMOTE: &str = "Can only look up local users";
const MISSING: &str = "Unknown user";

/// An upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedMedia {
    media_id: String,
    media_type: String,
    /// In bytes.
    media_length: i64,
    #[schema(required)]
    upload_name: Option<String>,
    /// When it was uploaded, in milliseconds.
    created_ts: i64,
    /// The URL of the page, if the upload is the picture of a preview.
    #[schema(required)]
    url_cache: Option<String>,
    /// The time of the last download, in milliseconds; updated about once a minute.
    #[schema(required)]
    last_access_ts: Option<i64>,
    #[schema(required)]
    quarantined_by: Option<String>,
    safe_from_quarantine: bool,
    user_id: String,
    /// True if an access token is needed to download it.
    authenticated: bool,
    /// The digest of its bytes, in hexadecimal.
    sha256: String,
}

impl ListedMedia {
    fn new(media: Shown, user_id: String) -> Self {
        Self {
            media_id: media.media_id,
            media_type: media.media_type,
            media_length: media.media_length,
            upload_name: media.upload_name,
            created_ts: media.created_ts.get(),
            url_cache: media.url_cache,
            last_access_ts: media.last_access_ts.map(Millis::get),
            quarantined_by: media.quarantined_by,
            safe_from_quarantine: media.safe_from_quarantine,
            user_id,
            authenticated: media.authenticated,
            sha256: media.sha256,
        }
    }
}

/// A page of the uploads of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MediaList {
    media: Vec<ListedMedia>,
    /// The number of uploads of the account.
    total: i64,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<i64>,
}

pub(crate) fn list() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/media", handle_list)
        .access(Access::Admin(Scope::MediaRead))
        .id("listUserMedia")
        .summary("Lists the uploads of an account")
        .query(query())
        .returns::<MediaList>(200)
        .errors(ERRORS)
}

pub(crate) fn delete() -> Route {
    Route::of(Method::DELETE, "/_synapse/admin/v1/users/{user_id}/media", handle_delete)
        .access(Access::Admin(Scope::MediaWrite))
        .id("deleteUserMedia")
        .summary("Deletes the uploads that the list with the same query shows")
        .description(
            "Quarantined and protected uploads are deleted, too. Repeat the request until none is left to \
             delete all uploads of the account.",
        )
        .query(query())
        .returns::<Deleted>(200)
        .errors(ERRORS)
}

struct Page {
    paging: Paging,
    order_by: OrderBy,
    descending: bool,
}

/// Reads the parameters in the order in which their errors are reported.
fn page(query: &Query) -> Result<Page, MatrixError> {
    let paging = paging::read(query)?;
    // The newest first, unless the request names an order or a direction.
    let newest_first = !query.has("order_by") && !query.has("dir");
    let order_by = query.choice("order_by", OrderBy::ALL)?.unwrap_or(OrderBy::CreatedTs);
    let descending = query.backwards()?.unwrap_or(newest_first);
    Ok(Page { paging, order_by, descending })
}

fn handle_list(call: &Reading<'_>) -> Answer {
    let user_id = target::local_user(call, REMOTE)?;
    let user = target::found(call.tx, &user_id, MISSING)?;
    let Page { paging, order_by, descending } = page(&call.query)?;
    let total = media_users::of_user(call.tx, user.num)?.media_count;
    let media = media_list::shown(call.tx, user.num, order_by, descending, paging, total)?;
    reply::ok(&MediaList {
        next_token: paging::next(paging, media.len(), total),
        media: media.into_iter().map(|media| ListedMedia::new(media, user.user_id.clone())).collect(),
        total,
    })
}

async fn handle_delete(call: Call) -> Answer {
    let user_id = target::local_user(&call, REMOTE)?;
    let user = target::existing(&call, &user_id, MISSING).await?;
    let Page { paging, order_by, descending } = page(&call.query)?;
    let find = move |tx: &ReadTx<'_>| -> Result<_, DbError> {
        let total = media_users::of_user(tx, user.num)?.media_count;
        media_list::page(tx, user.num, order_by, descending, paging, total)
    };
    let media = call.read(find).await?;
    reply::ok(&Deleted::of(delete_all(&call, Some(&user_id), media).await?))
}
