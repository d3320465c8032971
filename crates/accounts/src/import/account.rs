//! The form of an account in an import.

use serde::Deserialize;
use serde_json::{Map, Value};

/// An account on another server. Times are in milliseconds since the Unix epoch. A missing value is unknown, or false.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The full user id.
    pub user_id: Option<String>,
    /// The part of the user id between `@` and `:`, instead of `user_id`.
    pub localpart: Option<String>,
    /// The hash of the password: a PHC string of Argon2, or of bcrypt (`$2a$`, `$2b$`, `$2y$`).
    pub password_hash: Option<String>,
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
    /// True if it administers the server.
    pub admin: Option<bool>,
    /// Its kind.
    pub user_type: Option<String>,
    /// True if it is a guest.
    pub is_guest: Option<bool>,
    /// True if it was deactivated.
    pub deactivated: Option<bool>,
    /// True if it was erased.
    pub erased: Option<bool>,
    /// True if it is locked.
    pub locked: Option<bool>,
    /// True if it is suspended.
    pub suspended: Option<bool>,
    /// True if it is shadow-banned.
    pub shadow_banned: Option<bool>,
    /// True if it was approved. Accounts that wait for approval are refused.
    pub approved: Option<bool>,
    /// The time at which it was created.
    pub creation_ts: Option<i64>,
    /// The version of the policy it consented to.
    pub consent_version: Option<String>,
    /// The time at which it consented.
    pub consent_ts: Option<i64>,
    /// The time at which it was last seen.
    pub last_seen_ts: Option<i64>,
    /// Its e-mail addresses and telephone numbers.
    #[serde(default)]
    pub threepids: Vec<AccountThreepid>,
    /// Its names at identity providers.
    #[serde(default)]
    pub external_ids: Vec<AccountExternalId>,
    /// Its devices.
    #[serde(default)]
    pub devices: Vec<AccountDevice>,
    /// The other fields of its profile.
    #[serde(default)]
    pub profile_fields: Map<String, Value>,
}

/// A third-party id of an [`Account`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountThreepid {
    /// `email` or `msisdn`.
    pub medium: String,
    /// The address, in any form.
    pub address: String,
    /// The time at which it was validated.
    pub validated_at: Option<i64>,
    /// The time at which it was added.
    pub added_at: Option<i64>,
}

/// An external id of an [`Account`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountExternalId {
    /// The identity provider.
    pub auth_provider: String,
    /// The name of the account there.
    pub external_id: String,
}

/// A device of an [`Account`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountDevice {
    /// Its id, unique within the account.
    pub device_id: String,
    /// The name people see.
    pub display_name: Option<String>,
    /// The time at which it was last seen.
    pub last_seen_ts: Option<i64>,
    /// The address it was last seen from.
    pub last_seen_ip: Option<String>,
    /// The user agent of its client when it was last seen.
    pub last_seen_user_agent: Option<String>,
}

/// The keys of [`Account`] at each place: by the key of a list, blank for the account itself.
pub const KEYS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "user_id",
            "localpart",
            "password_hash",
            "displayname",
            "avatar_url",
            "admin",
            "user_type",
            "is_guest",
            "deactivated",
            "erased",
            "locked",
            "suspended",
            "shadow_banned",
            "approved",
            "creation_ts",
            "consent_version",
            "consent_ts",
            "last_seen_ts",
            "threepids",
            "external_ids",
            "devices",
            "profile_fields",
        ],
    ),
    ("threepids", &["medium", "address", "validated_at", "added_at"]),
    ("external_ids", &["auth_provider", "external_id"]),
    ("devices", &["device_id", "display_name", "last_seen_ts", "last_seen_ip", "last_seen_user_agent"]),
];
