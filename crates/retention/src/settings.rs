//! The operator's settings.

use reeve_model::RetentionRule;
use reeve_rooms::lifetimes::Lifetimes;

/// A day, in milliseconds.
pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;

/// The lifetimes of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageSettings {
    /// True if messages are deleted.
    pub enabled: bool,
    /// Their lifetimes.
    pub lifetimes: Lifetimes,
}

/// The age at which each thing is deleted, in milliseconds; `None` for never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Devices that were not seen.
    pub devices_ms: Option<i64>,
    /// Uploads that were not used.
    pub media_ms: Option<i64>,
    /// Pictures of previews of web pages that were not used.
    pub preview_media_ms: i64,
    /// Messages.
    pub messages: MessageSettings,
    /// Guests that were not seen.
    pub guests_ms: Option<i64>,
    /// Accounts that were never used.
    pub unused_accounts_ms: Option<i64>,
    /// Entries of the audit log.
    pub audit_ms: Option<i64>,
    /// Addresses of clients.
    pub ip_addresses_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            devices_ms: None,
            media_ms: None,
            preview_media_ms: 7 * DAY_MS,
            messages: MessageSettings::default(),
            guests_ms: None,
            unused_accounts_ms: None,
            audit_ms: None,
            ip_addresses_ms: 28 * DAY_MS,
        }
    }
}

impl Settings {
    /// Returns the age at which a rule deletes, in milliseconds; `None` for never. Messages have ages by room, and here that
    /// of none.
    pub fn age_ms(&self, rule: RetentionRule) -> Option<i64> {
        match rule {
            RetentionRule::Devices => self.devices_ms,
            RetentionRule::Media => self.media_ms,
            RetentionRule::PreviewMedia => Some(self.preview_media_ms),
            RetentionRule::Messages => None,
            RetentionRule::Guests => self.guests_ms,
            RetentionRule::UnusedAccounts => self.unused_accounts_ms,
            RetentionRule::Audit => self.audit_ms,
            RetentionRule::IpAddresses => Some(self.ip_addresses_ms),
        }
    }

    /// Returns true if the server runs a rule by itself.
    pub fn is_on(&self, rule: RetentionRule) -> bool {
        match rule {
            RetentionRule::Messages => self.messages.enabled,
            RetentionRule::Devices
            | RetentionRule::Media
            | RetentionRule::PreviewMedia
            | RetentionRule::Guests
            | RetentionRule::UnusedAccounts
            | RetentionRule::Audit
            | RetentionRule::IpAddresses => self.age_ms(rule).is_some(),
        }
    }
}
