//! The metrics at `/metrics`, for Prometheus.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The labels of a completed request. They have few values: the route is never a path as sent.
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

fn latency() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

/// The metrics of the server: those of requests, and those that other parts of the server register.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Returns metrics that count from zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("reeve");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(latency as fn() -> Histogram);
        let in_flight = Gauge::default();
        registry.register("http_requests", "Requests completed, by route and status", requests.clone());
        registry.register("http_request_seconds", "Time to the response, by route", seconds.clone());
        registry.register("http_requests_in_flight", "Requests in progress", in_flight.clone());
        Self { registry: Mutex::new(registry), requests, seconds, in_flight }
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

    /// Returns the metrics as text.
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
