//! The operator's settings for exports.

/// The operator's settings for exports.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// True if people can order an archive of their own account.
    pub own: bool,
    /// The time between two orders of a person, in milliseconds. It is at most [`Settings::keep_ms`], since the orders that are
    /// kept are counted.
    pub own_interval_ms: i64,
    /// The time for which an archive is kept, in milliseconds.
    pub keep_ms: i64,
    /// The time for which a link can be used, in milliseconds.
    pub link_ms: i64,
    /// The maximum size of an archive, in bytes.
    pub max_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            own: true,
            own_interval_ms: 86_400_000,
            keep_ms: 7 * 86_400_000,
            link_ms: 86_400_000,
            max_bytes: 100 << 30,
        }
    }
}
