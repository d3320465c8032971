//! The operator's settings for uploads.

use crate::store::StoreSettings;

/// The operator's settings for uploads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store.
    pub store: StoreSettings,
    /// Maximum size of an upload, in bytes.
    pub max_upload_bytes: u64,
    /// Maximum number of bytes uploaded by one account.
    pub max_bytes_per_account: Option<i64>,
    /// Maximum number of bytes stored for all accounts.
    pub max_bytes: Option<i64>,
    /// Maximum number of pending media ids of an account.
    pub max_pending: i64,
    /// The lifetime of a pending media id, in milliseconds.
    pub pending_ms: i64,
    /// Maximum size of a picture that thumbnails are made of, in pixels.
    pub max_picture_pixels: u64,
    /// The number of thumbnails made concurrently.
    pub thumbnail_workers: usize,
    /// The time for which uploads that administrators delete wait in the bin, in milliseconds; 0 if there is no bin.
    pub bin_ms: i64,
}

impl Settings {
    /// The default limits, with this store.
    pub fn new(store: StoreSettings) -> Self {
        Self {
            store,
            max_upload_bytes: 50 * 1024 * 1024,
            max_bytes_per_account: None,
            max_bytes: None,
            max_pending: 20,
            pending_ms: 24 * 3600 * 1000,
            max_picture_pixels: 32_000_000,
            thumbnail_workers: 1,
            bin_ms: 7 * 24 * 3600 * 1000,
        }
    }
}
