//! Deletes media of other servers that nobody has used for long.

use reeve_http::{Answer, Call, Param, Route, reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::{BEFORE_TS_ERRORS, before_ts};

/// How much was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Purged {
    deleted: i64,
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/purge_media_cache", handle)
        .id("purgeMediaCache")
        .summary("Deletes media of other servers that nobody has used for long")
        .description("This server keeps no media of other servers, so that there is nothing to delete.")
        .query([Param::integer("before_ts", "What was last downloaded before this time, in milliseconds")
            .required()])
        .returns::<Purged>(200)
        .errors(BEFORE_TS_ERRORS)
}

async fn handle(call: Call) -> Answer {
    before_ts(&call)?;
    reply::ok(&Purged { deleted: 0 })
}
