//! The names of Synapse's settings, for operators who migrate from Synapse.

/// The counterpart of a setting of Synapse.
enum Here {
    /// The same setting under these keys.
    Keys(&'static [&'static str]),
    /// No counterpart; the text gives the reason.
    Nothing(&'static str),
}

use Here::{Keys, Nothing};

const NO_FEDERATION: Here = Nothing("this server does not federate");
const KEYS_IN_DATABASE: Here = Nothing("signing keys are kept in the database");

/// The most common settings. A table of Synapse's covers all of its keys that are not listed separately.
const TABLE: &[(&str, Here)] = &[
    ("account_validity.period", Keys(&["account_validity.period_ms"])),
    ("account_validity.renew_at", Keys(&["account_validity.remind_ms"])),
    ("allow_guest_access", Keys(&["registration.guests"])),
    ("bcrypt_rounds", Keys(&["password.iterations", "password.memory_kib"])),
    ("database.args", Keys(&["database"])),
    ("database.name", Keys(&["database"])),
    ("delete_stale_devices_after", Keys(&["retention.devices_ms"])),
    ("email.enable_tls", Keys(&["email.tls"])),
    ("email.force_tls", Keys(&["email.tls"])),
    ("email.notif_from", Keys(&["email.from"])),
    ("email.require_transport_security", Keys(&["email.tls"])),
    ("email.smtp_host", Keys(&["email.host"])),
    ("email.smtp_pass", Keys(&["email.password", "email.password_path"])),
    ("email.smtp_port", Keys(&["email.port"])),
    ("email.smtp_user", Keys(&["email.user"])),
    ("email.validation_token_lifetime", Keys(&["email.link_ms"])),
    ("enable_3pid_changes", Keys(&["email.own_addresses"])),
    ("enable_media_repo", Nothing("uploads are always served")),
    ("enable_registration", Keys(&["registration.enabled"])),
    ("enable_registration_without_verification", Keys(&["registration.without_verification"])),
    ("federation_domain_whitelist", NO_FEDERATION),
    ("form_secret", Nothing("Reeve uses no such secret")),
    (
        "ip_range_blacklist",
        Nothing("no requests are made to addresses inside the network, except to outgoing.allow_ranges"),
    ),
    ("ip_range_whitelist", Keys(&["outgoing.allow_ranges"])),
    ("listeners", Keys(&["listen"])),
    ("log_config", Keys(&["log.filter", "log.format"])),
    ("login_via_existing_session", Keys(&["tokens.login_via_existing_session"])),
    ("macaroon_secret_key", Nothing("Reeve uses no such secret")),
    ("max_image_pixels", Keys(&["media.max_picture_pixels"])),
    ("max_pending_media_uploads", Keys(&["media.max_pending"])),
    ("max_spider_size", Keys(&["url_previews.max_picture_bytes"])),
    ("max_upload_size", Keys(&["media.max_upload_bytes"])),
    ("media_retention.local_media_lifetime", Keys(&["retention.media_ms"])),
    ("media_retention.remote_media_lifetime", Nothing("media of other servers are not stored")),
    ("media_store_path", Keys(&["media.folder"])),
    ("media_storage_providers", Keys(&["media.bucket.name"])),
    ("next_link_domain_whitelist", Keys(&["email.next_link_hosts"])),
    ("nonrefreshable_access_token_lifetime", Keys(&["tokens.lifetime_ms"])),
    ("password_config.enabled", Keys(&["password.enabled"])),
    ("password_config.localdb_enabled", Keys(&["password.enabled"])),
    ("password_config.pepper", Keys(&["password.pepper", "password.pepper_path"])),
    ("password_config.policy.enabled", Nothing("password.policy is always applied")),
    ("password_config.policy.minimum_length", Keys(&["password.policy.min_length"])),
    ("password_config.policy.require_digit", Keys(&["password.policy.require_digit"])),
    ("password_config.policy.require_lowercase", Keys(&["password.policy.require_lowercase"])),
    ("password_config.policy.require_symbol", Keys(&["password.policy.require_symbol"])),
    ("password_config.policy.require_uppercase", Keys(&["password.policy.require_uppercase"])),
    ("pid_file", Nothing("the service manager tracks the process")),
    ("public_baseurl", Keys(&["public_base_url"])),
    ("rc_3pid_validation", Keys(&["rate_limits.email_requests", "rate_limits.email_recipient"])),
    ("rc_login.account", Keys(&["rate_limits.login_account"])),
    ("rc_login.address", Keys(&["rate_limits.login"])),
    ("rc_login.failed_attempts", Keys(&["rate_limits.login_failed"])),
    ("rc_media_create", Keys(&["rate_limits.media"])),
    ("rc_message", Keys(&["rate_limits.message"])),
    ("rc_registration", Keys(&["rate_limits.registration"])),
    ("redis", Nothing("several processes share their database")),
    ("refresh_token_lifetime", Keys(&["tokens.refresh_lifetime_ms"])),
    ("refreshable_access_token_lifetime", Keys(&["tokens.lifetime_ms"])),
    ("registration_requires_token", Keys(&["registration.require_token"])),
    ("registration_shared_secret", Keys(&["registration.shared_secret"])),
    ("registration_shared_secret_path", Keys(&["registration.shared_secret_path"])),
    ("registrations_require_3pid", Keys(&["registration.require_email"])),
    ("report_stats", Nothing("nothing is ever reported")),
    ("request_token_inhibit_3pid_errors", Keys(&["email.hide_addresses"])),
    ("retention.allowed_lifetime_max", Keys(&["retention.messages.max_lifetime_ms"])),
    ("retention.allowed_lifetime_min", Keys(&["retention.messages.min_lifetime_ms"])),
    ("retention.default_policy", Keys(&["retention.messages.default_lifetime_ms"])),
    ("retention.enabled", Keys(&["retention.messages.enabled"])),
    ("retention.purge_jobs", Nothing("messages are deleted once a day")),
    ("server_notices.system_mxid_display_name", Keys(&["server_notices.display_name"])),
    ("server_notices.system_mxid_localpart", Keys(&["server_notices.localpart"])),
    ("session_lifetime", Keys(&["tokens.lifetime_ms"])),
    ("signing_key", KEYS_IN_DATABASE),
    ("signing_key_path", KEYS_IN_DATABASE),
    ("suppress_key_server_warning", NO_FEDERATION),
    ("trusted_key_servers", NO_FEDERATION),
    ("unused_expiration_time", Keys(&["media.pending_ms"])),
    ("url_preview_accept_language", Keys(&["url_previews.language"])),
    ("url_preview_enabled", Keys(&["url_previews.enabled"])),
    (
        "url_preview_ip_range_blacklist",
        Nothing("no requests are made to addresses inside the network, except to outgoing.allow_ranges"),
    ),
    ("url_preview_ip_range_whitelist", Keys(&["outgoing.allow_ranges"])),
    ("use_presence", Keys(&["presence.enabled"])),
    ("user_ips_max_age", Keys(&["retention.ip_addresses_ms"])),
    ("user_types.default_user_type", Keys(&["account.default_user_type"])),
    ("user_types.extra_user_types", Keys(&["account.user_types"])),
];

/// The message for a key that is, or is below, a setting of Synapse.
pub(super) fn translation(key: &str) -> Option<String> {
    let holds =
        |name: &str| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let (name, here) = TABLE.iter().filter(|(name, _)| holds(name)).max_by_key(|(name, _)| name.len())?;
    Some(match here {
        Keys(keys) => format!("{name} is a setting of Synapse; its name here is {}", keys.join(" and ")),
        Nothing(reason) => format!("{name} is a setting of Synapse; it has no counterpart here: {reason}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Settings, entries};

    #[test]
    fn every_translation_is_a_setting() {
        let known = entries(&Settings::default());
        for (name, here) in TABLE {
            assert!(known.iter().all(|entry| entry.key != *name), "{name} is known here");
            if let Keys(keys) = here {
                for key in *keys {
                    assert!(known.iter().any(|entry| entry.key == *key), "{name}: {key}");
                }
            }
        }
    }

    #[test]
    fn the_longest_name_counts() {
        let said = |key| translation(key).unwrap_or_default();
        assert!(said("password_config.policy.require_digit").ends_with("password.policy.require_digit"));
        assert!(said("rc_message.per_second").ends_with("its name here is rate_limits.message"));
        assert_eq!(translation("rc_messages"), None);
    }
}
