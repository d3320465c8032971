//! Metrics of jobs, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use reeve_model::JobState;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Label {
    kind: String,
    state: String,
}

/// The metrics whose values the database holds.
#[derive(Default)]
pub(crate) struct Metrics {
    jobs: Family<Label, Gauge>,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("jobs", "Durable jobs, by kind and state", self.jobs.clone());
    }

    pub(crate) fn set(&self, states: &[(String, JobState, i64)]) {
        self.jobs.clear();
        for (kind, state, n) in states {
            self.jobs.get_or_create(&Label { kind: kind.clone(), state: state.to_string() }).set(*n);
        }
    }
}
