//! The metrics at `/metrics`, for Prometheus.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use reeve_model::JobState;
use reeve_store::media_users::Totals;

/// By route and status: few values, never a path as sent.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabel {
    method: String,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct JobLabel {
    kind: String,
    state: String,
}

fn latency() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

/// Values that are measured only when the metrics are read.
#[derive(Debug, Default)]
pub struct Measured {
    /// Sightings of accounts that are not written yet.
    pub seen_waiting: usize,
    /// Password hashes in the queue or in progress.
    pub hashing_waiting: usize,
    /// Thumbnails in the queue or in progress.
    pub thumbnails_waiting: usize,
    /// The number of uploads, and the bytes stored for them.
    pub media: Totals,
    /// Orphaned objects in the media store.
    pub media_strays: i64,
    /// Jobs: kind, state, number.
    pub jobs: Vec<(String, JobState, i64)>,
}

/// The metrics of the server.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    seen_waiting: Gauge,
    hashing_waiting: Gauge,
    thumbnails_waiting: Gauge,
    media_strays: Gauge,
    media_uploads: Gauge,
    media_bytes: Gauge,
    jobs: Family<JobLabel, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that count from zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("reeve");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(latency as fn() -> Histogram);
        let [
            in_flight,
            seen_waiting,
            hashing_waiting,
            thumbnails_waiting,
            media_strays,
            media_uploads,
            media_bytes,
        ] = std::array::from_fn(|_| Gauge::default());
        let jobs = Family::default();
        registry.register("http_requests", "Requests completed, by route and status", requests.clone());
        registry.register("http_request_seconds", "Time to the response, by route", seconds.clone());
        registry.register("http_requests_in_flight", "Requests in progress", in_flight.clone());
        registry.register("seen_waiting", "Sightings of accounts not written yet", seen_waiting.clone());
        registry.register(
            "password_hashing_waiting",
            "Password hashes waiting or in progress",
            hashing_waiting.clone(),
        );
        registry.register(
            "thumbnails_waiting",
            "Thumbnails waiting or in progress",
            thumbnails_waiting.clone(),
        );
        registry.register("media_uploads", "Stored uploads", media_uploads.clone());
        registry.register("media_bytes", "Bytes stored for uploads, without thumbnails", media_bytes.clone());
        registry.register(
            "media_strays",
            "Objects in the media store that are being written or will be deleted",
            media_strays.clone(),
        );
        registry.register("jobs", "Durable jobs, by kind and state", jobs.clone());
        Self {
            registry: Mutex::new(registry),
            requests,
            seconds,
            in_flight,
            seen_waiting,
            hashing_waiting,
            thumbnails_waiting,
            media_strays,
            media_uploads,
            media_bytes,
            jobs,
        }
    }

    /// Registers the metrics of another part of the server.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a request in; dropping the result counts it out.
    pub(crate) fn enter(self: &Metrics) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts a response.
    pub(crate) fn answered(&self, method: &str, route: &Arc<str>, status: u16, took: Duration) {
        let label = RouteLabel { method: method.to_owned(), route: route.to_string() };
        self.seconds.get_or_create(&label).observe(took.as_secs_f64());
        let RouteLabel { method, route } = label;
        self.requests.get_or_create(&Request { method, route, status }).inc();
    }

    /// Sets the values that are measured when the metrics are read.
    pub fn set(&self, measured: &Measured) {
        let size = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.seen_waiting.set(size(measured.seen_waiting));
        self.hashing_waiting.set(size(measured.hashing_waiting));
        self.thumbnails_waiting.set(size(measured.thumbnails_waiting));
        self.media_uploads.set(measured.media.media);
        self.media_bytes.set(measured.media.bytes);
        self.media_strays.set(measured.media_strays);
        self.jobs.clear();
        for (kind, state, n) in &measured.jobs {
            self.jobs.get_or_create(&JobLabel { kind: kind.clone(), state: state.to_string() }).set(*n);
        }
    }

    /// The metrics as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            tracing::error!("the metrics cannot be written");
        }
        text
    }
}

/// A request in progress.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
