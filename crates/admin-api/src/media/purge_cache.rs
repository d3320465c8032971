//! Deletion of cached media of other servers.

use reeve_app::{Access, Answer, Call, Param, Route, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use super::{BEFORE_TS_ERRORS, before_ts};

/// The number of deleted files.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Purged {
    deleted: i64,
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/purge_media_cache", handle)
        .access(Access::Admin(Scope::MediaWrite))
        .id("purgeMediaCache")
        .summary("Deletes cached media of other servers")
        .description("This server does not cache media of other servers, so nothing is deleted.")
        .query([Param::integer("before_ts", "only media last downloaded before this time, in milliseconds")
            .required()])
        .returns::<Purged>(200)
        .errors(BEFORE_TS_ERRORS)
}

async fn handle(call: Call) -> Answer {
    before_ts(&call)?;
    reply::ok(&Purged { deleted: 0 })
}
