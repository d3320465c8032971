//! What Prometheus reads.

use reeve_http::{Access, Answer, Call, Route, reply};
use reeve_store::jobs;

/// The text format of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn route() -> Route {
    Route::get("/metrics", handle)
        .access(Access::Anybody)
        .summary("What the server measures of itself, for Prometheus")
        .description("The answer is a text in the OpenMetrics format.")
}

async fn handle(call: Call) -> Answer {
    // Monitoring matters most when the database fails: then there are no numbers of jobs, and all others.
    let jobs = call.read(jobs::states).await.unwrap_or_else(|error| {
        tracing::warn!(cause = error.cause, "the metrics lack the number of jobs");
        Vec::new()
    });
    let app = &call.app;
    app.metrics.set_queues(app.seen.len(), app.hasher.waiting(), &jobs);
    reply::text(OPEN_METRICS, app.metrics.text())
}
