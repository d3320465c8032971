//! Whether the server works.

use reeve_http::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_store::health;
use serde::Serialize;
use utoipa::ToSchema;

/// The server works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    status: &'static str,
}

pub(crate) fn route() -> Route {
    Route::get("/health", handle)
        .access(Access::Anybody)
        .id("getHealth")
        .summary("Whether the server works and its database answers")
        .returns::<Health>(200)
        .errors(&[(503, "M_UNKNOWN", "the database does not answer")])
}

async fn handle(call: Call) -> Answer {
    call.app.db.read(health::answers).await.map_err(|error| {
        let unavailable = http::StatusCode::SERVICE_UNAVAILABLE;
        let answer = MatrixError::new(unavailable, "M_UNKNOWN", "The database is not available");
        MatrixError { cause: Some(error.to_string()), ..answer }
    })?;
    reply::ok(&Health { status: "ok" })
}
