//! Metrics of deliveries, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use reeve_model::DeliveryKind;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Delivery {
    kind: &'static str,
    outcome: &'static str,
}

/// The metrics of one kind of delivery.
#[derive(Default)]
pub(crate) struct Metrics {
    deliveries: Family<Delivery, Counter>,
    /// Deliveries in progress.
    pub(crate) active: Gauge,
}

impl Metrics {
    /// Registers them under the word of the kind.
    pub(crate) fn register(&self, registry: &mut Registry, kind: DeliveryKind) {
        let registry = registry.sub_registry_with_prefix(kind.as_str());
        registry.register(
            "deliveries",
            "Messages delivered, rejected for good, failed, refused by the settings, or given up",
            self.deliveries.clone(),
        );
        registry.register("active", "Deliveries in progress", self.active.clone());
    }

    pub(crate) fn count(&self, kind: &'static str, outcome: &'static str) {
        self.deliveries.get_or_create(&Delivery { kind, outcome }).inc();
    }
}
