//! Checks beyond single values: ranges, and contradictions between settings.

use std::fmt::Display;

use reeve_model::id;

use super::{
    describe::Problem,
    filter::log_filter,
    keys::{RateLimit, Settings},
};

/// All problems.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Problem { key: key.into(), problem: problem.into() });
    }

    fn at_least<T: PartialOrd + Display>(&mut self, key: &str, value: T, least: T) {
        if value < least {
            self.add(key, format!("must be at least {least}, not {value}"));
        }
    }

    fn at_most<T: PartialOrd + Display>(&mut self, key: &str, value: T, most: T) {
        if value > most {
            self.add(key, format!("must be at most {most}, not {value}"));
        }
    }
}

/// The longest time that can be set, in milliseconds.
const LONGEST_MS: i64 = 100 * 366 * 86_400_000;

/// Checks everything that the types do not.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let mut problems = Problems::default();
    let Settings { password, tokens, rate_limits, media, account, account_validity, http, .. } = settings;

    if let Some(connections) = settings.database_connections {
        problems.at_least("database_connections", connections, 1);
        problems.at_most("database_connections", connections, 1_000);
    }

    check_registration(settings, &mut problems);
    problems.at_least("password.iterations", password.iterations, 1);
    // Argon2 needs eight blocks of a KiB.
    problems.at_least("password.memory_kib", password.memory_kib, 8);
    if let Some(workers) = password.workers {
        problems.at_least("password.workers", workers, 1);
        problems.at_most("password.workers", workers, 1_024);
    }

    for (key, lifetime) in [
        ("tokens.lifetime_ms", tokens.lifetime_ms),
        ("tokens.refresh_lifetime_ms", tokens.refresh_lifetime_ms),
        ("account_validity.period_ms", account_validity.period_ms),
        ("account_validity.remind_ms", account_validity.remind_ms),
        ("media.pending_ms", Some(media.pending_ms)),
        ("webhooks.history_ms", Some(settings.webhooks.history_ms)),
        ("voip.turn_user_lifetime_ms", Some(settings.voip.turn_user_lifetime_ms)),
        ("pages.session_idle_ms", Some(settings.pages.session_idle_ms)),
        ("pages.session_lifetime_ms", Some(settings.pages.session_lifetime_ms)),
    ] {
        if let Some(lifetime) = lifetime {
            problems.at_least(key, lifetime, 1);
            // Lifetimes are added to the time of day; this bound keeps the sums far from overflow.
            problems.at_most(key, lifetime, LONGEST_MS);
        }
    }
    // The specification asks for short lives. With shorter ones than a minute, clients would do little but refresh.
    problems.at_least("oauth.token_lifetime_ms", settings.oauth.token_lifetime_ms, 60_000);
    problems.at_most("oauth.token_lifetime_ms", settings.oauth.token_lifetime_ms, 86_400_000);
    // The use of a client is noted once a day.
    problems.at_least("oauth.unused_clients_ms", settings.oauth.unused_clients_ms, 172_800_000);
    problems.at_most("oauth.unused_clients_ms", settings.oauth.unused_clients_ms, LONGEST_MS);
    for (key, time) in [("media.bin_ms", media.bin_ms), ("rooms.bin_ms", settings.rooms.bin_ms)] {
        problems.at_least(key, time, 0);
        problems.at_most(key, time, LONGEST_MS);
    }

    for (name, limit) in [
        ("message", &rate_limits.message),
        ("profile", &rate_limits.profile),
        ("room_creation", &rate_limits.room_creation),
        ("joins", &rate_limits.joins),
        ("joins_per_room", &rate_limits.joins_per_room),
        ("invites_per_sender", &rate_limits.invites_per_sender),
        ("invites_per_recipient", &rate_limits.invites_per_recipient),
        ("invites_per_room", &rate_limits.invites_per_room),
        ("to_device", &rate_limits.to_device),
        ("reports", &rate_limits.reports),
        ("media", &rate_limits.media),
        ("url_previews", &rate_limits.url_previews),
        ("registration", &rate_limits.registration),
        ("registration_attempts", &rate_limits.registration_attempts),
        ("login", &rate_limits.login),
        ("login_account", &rate_limits.login_account),
        ("login_failed", &rate_limits.login_failed),
        ("oauth_requests", &rate_limits.oauth_requests),
        ("oauth_failed", &rate_limits.oauth_failed),
        ("email_requests", &rate_limits.email_requests),
        ("email_account", &rate_limits.email_account),
        ("email_recipient", &rate_limits.email_recipient),
        ("service_tokens", &rate_limits.service_tokens),
    ] {
        let RateLimit { per_second, burst } = limit;
        if !(per_second.is_finite() && *per_second > 0.0) {
            let problem = format!("must be greater than 0, not {per_second}");
            problems.add(format!("rate_limits.{name}.per_second"), problem);
        }
        problems.at_least(&format!("rate_limits.{name}.burst"), *burst, 1);
    }

    // A login needs a device, and room for a message.
    problems.at_least("limits.devices", settings.limits.devices, 1);
    problems.at_least("limits.waiting_messages", settings.limits.waiting_messages, 1);
    problems.at_least("limits.waiting_message_bytes", settings.limits.waiting_message_bytes, 1_048_576);
    problems.at_least(
        "limits.waiting_message_bytes_per_account",
        settings.limits.waiting_message_bytes_per_account,
        1_048_576,
    );
    problems.at_least("media.max_upload_bytes", media.max_upload_bytes, 1);
    for (key, most) in
        [("media.max_bytes_per_account", media.max_bytes_per_account), ("media.max_bytes", media.max_bytes)]
    {
        if let Some(most) = most {
            problems.at_least(key, most, 0);
        }
    }
    problems.at_least("media.max_pending", media.max_pending, 1);
    problems.at_least("media.max_picture_pixels", media.max_picture_pixels, 1);
    if let Some(workers) = media.thumbnail_workers {
        problems.at_least("media.thumbnail_workers", workers, 1);
        problems.at_most("media.thumbnail_workers", workers, 1_024);
    }
    for (key, is_set) in [
        ("access_key_id", media.bucket.access_key_id.is_some()),
        ("secret_access_key", media.bucket.secret_access_key.is_some()),
    ] {
        if media.bucket.name.is_some() && !is_set {
            problems.add(format!("media.bucket.{key}"), "must be set when media.bucket.name is set");
        }
    }

    for (key, localpart) in [
        ("server_notices.localpart", &settings.server_notices.localpart),
        ("scim.groups_localpart", &settings.scim.groups_localpart),
    ] {
        if let Some(localpart) = localpart
            && let Err(problem) = id::check_new_localpart(localpart, settings.server_name.as_str())
        {
            problems.add(key, problem.to_string());
        }
    }
    if settings.scim.external_id_provider.is_empty() {
        problems.add("scim.external_id_provider", "must not be empty");
    }
    let is_bad_domain = |domain: &String| domain.is_empty() || domain.contains('@');
    if settings.scim.user_name_domain.as_ref().is_some_and(is_bad_domain) {
        problems.add("scim.user_name_domain", "must be a domain such as example.com, without @");
    }

    problems.at_least("account.keep_deactivated_ms", account.keep_deactivated_ms, 0);
    if account.user_types.iter().any(String::is_empty) {
        problems.add("account.user_types", "must not contain an empty text");
    }
    if let Some(user_type) = &account.default_user_type
        && !matches!(user_type.as_str(), "bot" | "support")
        && !account.user_types.contains(user_type)
    {
        let problem =
            format!("{user_type:?} is neither \"bot\" nor \"support\" nor one of account.user_types");
        problems.add("account.default_user_type", problem);
    }
    if account_validity.enabled && account_validity.period_ms.is_none() {
        problems.add("account_validity.period_ms", "must be set when account_validity.enabled is true");
    }
    if let (Some(before), Some(period)) = (account_validity.remind_ms, account_validity.period_ms)
        && before >= period
    {
        problems.add("account_validity.remind_ms", "must be less than account_validity.period_ms");
    }

    problems.at_least("url_previews.max_picture_bytes", settings.url_previews.max_picture_bytes, 1);
    if http::HeaderValue::from_str(&settings.url_previews.language).is_err() {
        problems.add("url_previews.language", "must be a list such as en or de, en;q=0.5");
    }
    check_email(settings, &mut problems);
    check_voip(settings, &mut problems);
    check_support(settings, &mut problems);

    check_retention(settings, &mut problems);
    problems.at_least("batches.keep_ms", settings.batches.keep_ms, 0);
    check_exports(settings, &mut problems);
    // An event may have 64 KiB; a smaller limit would refuse what every client may send.
    problems.at_least("http.max_body_bytes", http.max_body_bytes, 65_536);
    problems.at_least("http.header_timeout_ms", http.header_timeout_ms, 1);
    problems.at_least("http.body_timeout_ms", http.body_timeout_ms, 1);
    problems.at_least("http.answer_timeout_ms", http.answer_timeout_ms, 1);
    problems.at_least("http.max_unsent_bytes", http.max_unsent_bytes, 1_048_576);

    if let Err(problem) = log_filter(&settings.log.filter) {
        problems.add("log.filter", problem);
    }
    problems.0
}

fn check_exports(Settings { exports, .. }: &Settings, problems: &mut Problems) {
    problems.at_least("exports.own_interval_ms", exports.own_interval_ms, 3_600_000);
    // Orders are counted as long as they are kept.
    if exports.own_interval_ms > exports.keep_ms {
        problems.add("exports.own_interval_ms", "must not be greater than exports.keep_ms");
    }
    // An archive is there for a day, and is not to lie around.
    problems.at_least("exports.keep_ms", exports.keep_ms, 86_400_000);
    problems.at_most("exports.keep_ms", exports.keep_ms, 90 * 86_400_000);
    problems.at_least("exports.link_ms", exports.link_ms, 60_000);
    problems.at_most("exports.link_ms", exports.link_ms, 7 * 86_400_000);
    problems.at_least("exports.max_bytes", exports.max_bytes, 1_048_576);
}

/// Open registration must be chosen explicitly.
fn check_registration(settings: &Settings, problems: &mut Problems) {
    let registration = &settings.registration;
    let requires = registration.require_token || registration.require_email;
    if registration.enabled && !requires && !registration.without_verification {
        problems.add(
            "registration.enabled",
            "would let everybody register: set registration.require_token or registration.require_email as well, or \
             registration.without_verification if this is meant",
        );
    }
    // Passwords longer than 512 characters are refused.
    problems.at_most("password.policy.min_length", settings.password.policy.min_length, 512);
}

/// Checks the ages at which data is deleted.
fn check_retention(settings: &Settings, problems: &mut Problems) {
    const DAY_MS: i64 = 86_400_000;
    let retention = &settings.retention;
    for (key, age) in [
        ("devices_ms", retention.devices_ms),
        ("media_ms", retention.media_ms),
        ("preview_media_ms", Some(retention.preview_media_ms)),
        ("guests_ms", retention.guests_ms),
        ("unused_accounts_ms", retention.unused_accounts_ms),
        ("audit_ms", retention.audit_ms),
        ("ip_addresses_ms", Some(retention.ip_addresses_ms)),
    ] {
        if let Some(age) = age {
            // A shorter time is a mistake, such as seconds.
            problems.at_least(&format!("retention.{key}"), age, DAY_MS);
            problems.at_most(&format!("retention.{key}"), age, 100 * 366 * DAY_MS);
        }
    }
    let messages = &retention.messages;
    for (key, lifetime) in [
        ("default_lifetime_ms", messages.default_lifetime_ms),
        ("min_lifetime_ms", messages.min_lifetime_ms),
        ("max_lifetime_ms", messages.max_lifetime_ms),
    ] {
        if let Some(lifetime) = lifetime {
            let key = format!("retention.messages.{key}");
            problems.at_least(&key, lifetime, DAY_MS);
            problems.at_most(&key, lifetime, 100 * 366 * DAY_MS);
            if messages.min_lifetime_ms.is_some_and(|min| lifetime < min) {
                problems.add(&*key, "must not be less than retention.messages.min_lifetime_ms");
            }
            if messages.max_lifetime_ms.is_some_and(|max| lifetime > max) {
                problems.add(&*key, "must not be greater than retention.messages.max_lifetime_ms");
            }
        }
    }
}

/// Checks that e-mail has everything it needs.
fn check_email(settings: &Settings, problems: &mut Problems) {
    let email = &settings.email;
    if let Some(port) = email.port {
        problems.at_least("email.port", port, 1);
        problems.at_most("email.port", port, 65_535);
    }
    // A shorter time ends before the mail is read, and a longer one lets a link lie around.
    problems.at_least("email.link_ms", email.link_ms, 60_000);
    problems.at_most("email.link_ms", email.link_ms, 7 * 86_400_000);
    if !email.next_link_hosts.iter().all(|host| url::Host::parse(host).is_ok()) {
        problems.add("email.next_link_hosts", "expected names of hosts such as app.example.org");
    }
    for (key, is_set) in [
        ("registration.require_email", settings.registration.require_email),
        ("account_validity.remind_ms", settings.account_validity.remind_ms.is_some()),
    ] {
        if is_set && email.host.is_none() {
            problems.add(key, "needs email.host");
        }
    }
    if email.host.as_ref().is_some_and(String::is_empty) {
        problems.add("email.host", "must not be empty");
    }
    if email.user.is_some() != email.password.is_some() {
        problems.add("email.user", "must be set together with email.password");
    }
    match &email.from {
        Some(from) if !reeve_outgoing::is_sender(from) => {
            problems
                .add("email.from", "expected an address such as name@example.org or Name <name@example.org>");
        }
        None if email.host.is_some() => problems.add("email.from", "must be set when email.host is set"),
        Some(_) | None => {}
    }
    if email.host.is_some() && settings.public_base_url.is_none() {
        problems
            .add("public_base_url", "must be set when email.host is set: mails have links to this server");
    }
}

/// Checks the credentials of TURN servers.
fn check_voip(settings: &Settings, problems: &mut Problems) {
    let voip = &settings.voip;
    let is_uri = |uri: &String| {
        let rest = uri.strip_prefix("turn:").or_else(|| uri.strip_prefix("turns:"));
        rest.or_else(|| uri.strip_prefix("stun:")).is_some_and(|rest| !rest.is_empty())
    };
    if !voip.turn_uris.iter().all(is_uri) {
        problems.add("voip.turn_uris", "expected URIs such as turn:turn.example.org?transport=udp");
    }
    if voip.turn_username.is_some() != voip.turn_password.is_some() {
        problems.add("voip.turn_username", "must be set together with voip.turn_password");
    }
    let has_credentials = voip.turn_shared_secret.is_some() || voip.turn_username.is_some();
    if !voip.turn_uris.is_empty() && voip.turn_uris.iter().all(is_uri) && !has_credentials {
        let problem = "must be set, or voip.turn_username, when voip.turn_uris is set";
        problems.add("voip.turn_shared_secret", problem);
    }
}

/// Checks the support contacts.
fn check_support(settings: &Settings, problems: &mut Problems) {
    let support = &settings.support;
    let ids =
        [("admin_matrix_id", &support.admin_matrix_id), ("security_matrix_id", &support.security_matrix_id)];
    for (key, user_id) in ids {
        if user_id.as_ref().is_some_and(|user_id| id::split(user_id).is_err()) {
            problems.add(format!("support.{key}"), "expected a user id such as @name:example.org");
        }
    }
    let addresses = [("admin_email", &support.admin_email), ("security_email", &support.security_email)];
    for (key, address) in addresses {
        let is_address = |address: &String| {
            address.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        };
        if address.as_ref().is_some_and(|address| !is_address(address)) {
            problems.add(format!("support.{key}"), "expected an address such as name@example.org");
        }
    }
}
