//! Metrics for Prometheus.

use reeve_app::{Access, Answer, Call, Content, Route, reply};
use reeve_db::DbError;
use reeve_store::{jobs, media_objects, media_users};

/// The text format of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn route() -> Route {
    Route::get("/metrics", handle)
        .access(Access::Anybody)
        .id("getMetrics")
        .returns_other(200, Content::Text(OPEN_METRICS))
        .summary("Returns metrics for Prometheus")
        .description("The response is in the OpenMetrics text format.")
}

async fn handle(call: Call) -> Answer {
    let app = &call.app;
    let stored = call.read(|tx| -> Result<_, DbError> {
        Ok((media_users::totals(tx)?, media_objects::count_orphaned(tx)?, jobs::states(tx)?))
    });
    // Monitoring matters most when the database fails: then the numbers from the database are missing, and all
    // others are returned.
    let (totals, strays, states) = stored.await.unwrap_or_else(|error| {
        tracing::warn!(cause = error.cause, "the metrics lack the numbers from the database");
        Default::default()
    });
    app.media.measured(totals, strays);
    app.jobs.measured(&states);
    reply::text(OPEN_METRICS, app.metrics.text())
}
