use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The metrics of the database. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) read: CallMetrics,
    pub(crate) write: CallMetrics,
    pub(crate) commits: Counter,
    pub(crate) retries: Counter,
    pub(crate) batch: Histogram,
    waits: Family<Kind, Histogram>,
    runs: Family<Kind, Histogram>,
    queued: Family<Kind, Gauge>,
}

/// The metrics of one kind of call.
#[derive(Debug, Clone)]
pub(crate) struct CallMetrics {
    pub(crate) wait: Histogram,
    pub(crate) run: Histogram,
    pub(crate) queued: Gauge,
}

type Kind = [(&'static str, &'static str); 1];

impl Metrics {
    pub(crate) fn new() -> Self {
        // 50 µs to 13 s.
        let times = Family::<Kind, Histogram>::new_with_constructor;
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_05, 4.0, 10));
        let (waits, runs, queued) = (times(seconds), times(seconds), Family::<Kind, Gauge>::default());
        let calls = |kind| CallMetrics {
            wait: waits.get_or_create(&[("kind", kind)]).clone(),
            run: runs.get_or_create(&[("kind", kind)]).clone(),
            queued: queued.get_or_create(&[("kind", kind)]).clone(),
        };
        Self {
            read: calls("read"),
            write: calls("write"),
            commits: Counter::default(),
            retries: Counter::default(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            waits,
            runs,
            queued,
        }
    }

    /// Adds the metrics to a registry, each name beginning with `db_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("db");
        registry.register_with_unit(
            "queue_wait",
            "Time that calls waited for a database thread",
            Unit::Seconds,
            self.waits.clone(),
        );
        registry.register_with_unit(
            "run",
            "Time that calls ran on a database thread, retries included",
            Unit::Seconds,
            self.runs.clone(),
        );
        registry.register("queue_length", "Calls that wait for a database thread", self.queued.clone());
        registry.register("commits", "Committed writing transactions", self.commits.clone());
        registry.register("retries", "Transactions that were run again", self.retries.clone());
        registry.register("batch_size", "Writing calls in one commit", self.batch.clone());
    }
}
