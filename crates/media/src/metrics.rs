//! Metrics of uploads, for Prometheus.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use reeve_store::media_users::Totals;

/// The metrics whose values the database holds.
#[derive(Default)]
pub(crate) struct Metrics {
    uploads: Gauge,
    bytes: Gauge,
    strays: Gauge,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("media_uploads", "Stored uploads", self.uploads.clone());
        registry.register("media_bytes", "Bytes stored for uploads, without thumbnails", self.bytes.clone());
        registry.register(
            "media_strays",
            "Objects in the media store that are being written or will be deleted",
            self.strays.clone(),
        );
    }

    pub(crate) fn set(&self, totals: Totals, strays: i64) {
        self.uploads.set(totals.media);
        self.bytes.set(totals.bytes);
        self.strays.set(strays);
    }
}
