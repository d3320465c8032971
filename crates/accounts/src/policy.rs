//! The settings that deeds on accounts follow.

use std::time::Duration;

/// What the operator decided about accounts. Fixed while the server runs.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether people can register by themselves.
    pub registration_enabled: bool,
    /// Whether registering needs a registration token.
    pub registration_requires_token: bool,
    /// Whether guests are let in.
    pub guests: bool,
    /// The secret that lets scripts register accounts; off without one.
    pub registration_shared_secret: Option<String>,
    /// Whether people log in, and change their passwords, with a password.
    pub password_enabled: bool,
    /// How long an access token lives, in milliseconds; `None`: until it is revoked.
    pub token_lifetime_ms: Option<i64>,
    /// How long an access token lives that can be refreshed, in milliseconds.
    pub refreshable_token_lifetime_ms: i64,
    /// How long a refresh token lives, in milliseconds; `None`: until it is revoked.
    pub refresh_token_lifetime_ms: Option<i64>,
    /// Whether a session can ask for a login token for another device.
    pub login_via_existing_session: bool,
    /// User types besides `bot` and `support`.
    pub extra_user_types: Vec<String>,
    /// The type of accounts that are created without one.
    pub default_user_type: Option<String>,
    /// How long a new account is valid, if accounts expire.
    pub account_validity_period_ms: Option<i64>,
    /// The name of the account that sends server notices, which nobody else can have.
    pub notices_localpart: Option<String>,
    /// How much one account may store.
    pub limits: Limits,
}

/// How much one account may store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pieces of account data.
    pub account_data: i64,
    /// Bytes of account data.
    pub account_data_bytes: i64,
    /// Devices.
    pub devices: i64,
    /// One-time keys of a device for an algorithm.
    pub one_time_keys: i64,
    /// Backups of room keys.
    pub key_backups: i64,
    /// Room keys in its backups.
    pub backed_up_keys: i64,
    /// Bytes of the room keys in its backups, encrypted.
    pub key_backup_bytes: i64,
    /// Pushers.
    pub pushers: i64,
    /// Push rules, those that everybody has included.
    pub push_rules: i64,
    /// Filters.
    pub filters: i64,
    /// Aliases that it made.
    pub aliases_per_account: i64,
    /// Aliases of a room.
    pub aliases_per_room: i64,
    /// Reports of each kind that administrators have not deleted.
    pub reports: i64,
    /// Messages that wait for a device.
    pub waiting_messages: i64,
    /// Bytes of the messages that wait for a device.
    pub waiting_message_bytes: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            account_data: 20_000,
            account_data_bytes: 10 * 1024 * 1024,
            devices: 1000,
            one_time_keys: 1000,
            key_backups: 100,
            backed_up_keys: 500_000,
            key_backup_bytes: 128 * 1024 * 1024,
            pushers: 100,
            push_rules: 1000,
            filters: 500,
            aliases_per_account: 1000,
            aliases_per_room: 100,
            reports: 1000,
            waiting_messages: 20_000,
            waiting_message_bytes: 32 * 1024 * 1024,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            registration_enabled: false,
            registration_requires_token: false,
            guests: false,
            registration_shared_secret: None,
            password_enabled: true,
            token_lifetime_ms: None,
            refreshable_token_lifetime_ms: 300_000,
            refresh_token_lifetime_ms: None,
            login_via_existing_session: false,
            extra_user_types: Vec::new(),
            default_user_type: None,
            account_validity_period_ms: None,
            notices_localpart: None,
            limits: Limits::default(),
        }
    }
}

impl Policy {
    /// Whether an account can be of this type.
    pub fn knows_user_type(&self, user_type: &str) -> bool {
        matches!(user_type, "bot" | "support") || self.extra_user_types.iter().any(|extra| extra == user_type)
    }
}

/// What hashing a password costs.
#[derive(Clone, Debug)]
pub struct HashingCost {
    /// A secret that is mixed into every password.
    pub pepper: String,
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Threads that hash at the same time.
    pub workers: usize,
    /// How long a login may wait for its turn.
    pub wait: Duration,
}
