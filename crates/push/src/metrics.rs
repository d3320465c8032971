//! Metrics of deliveries, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Delivery {
    kind: String,
    outcome: &'static str,
}

/// The metrics of the delivery of notifications.
#[derive(Default)]
pub(crate) struct Metrics {
    deliveries: Family<Delivery, Counter>,
    /// Pushers in progress.
    pub(crate) active: Gauge,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("push");
        registry.register(
            "deliveries",
            "Notifications delivered, rejected for good, failed, refused for an inside address, or given up, by kind of pusher",
            self.deliveries.clone(),
        );
        registry.register("active", "Pushers in progress", self.active.clone());
    }

    pub(crate) fn count(&self, kind: &str, outcome: &'static str) {
        self.deliveries.get_or_create(&Delivery { kind: kind.to_owned(), outcome }).inc();
    }
}
