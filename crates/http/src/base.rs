//! The part of a server's state that the engine itself works with.

use std::sync::Arc;

use reeve_db::Db;
use reeve_model::Clock;

use crate::limits::Limiter;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// The part of a server's state that the engine itself works with.
pub struct Base {
    /// The name of this homeserver.
    pub server_name: Arc<str>,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Rate limits.
    pub limiter: Limiter,
    /// Settings of the HTTP side.
    pub http: Settings,
    /// The metrics for Prometheus.
    pub metrics: Metrics,
}
