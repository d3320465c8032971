//! What a single value cannot tell about itself: ranges, and settings that contradict each other.

use reeve_model::id;

use super::keys::{RateLimit, Settings};

/// A key and what is wrong with it.
pub(super) type Problem = (String, String);

/// Checks everything that the types do not.
pub(super) fn check(settings: &Settings) -> Result<(), Problem> {
    let Settings { password, tokens, rate_limits, media, account, account_validity, http, .. } = settings;

    if let Some(connections) = settings.database_connections {
        at_least("database_connections", connections, 1)?;
        at_most("database_connections", connections, 1_000)?;
    }

    at_least("password.iterations", password.iterations, 1)?;
    // Argon2 needs eight blocks of a KiB.
    at_least("password.memory_kib", password.memory_kib, 8)?;
    if let Some(workers) = password.workers {
        at_least("password.workers", workers, 1)?;
        at_most("password.workers", workers, 1_024)?;
    }

    for (key, lifetime) in [
        ("tokens.lifetime_ms", tokens.lifetime_ms),
        ("tokens.refresh_lifetime_ms", tokens.refresh_lifetime_ms),
        ("account_validity.period_ms", account_validity.period_ms),
        ("media.pending_ms", Some(media.pending_ms)),
    ] {
        if let Some(lifetime) = lifetime {
            at_least(key, lifetime, 1)?;
            // Lifetimes are added to the time of day; this bound keeps the sums far from overflow.
            at_most(key, lifetime, 100 * 366 * 86_400_000)?;
        }
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
    ] {
        let RateLimit { per_second, burst } = limit;
        if !(per_second.is_finite() && *per_second > 0.0) {
            let problem = format!("must be greater than 0, not {per_second}");
            return Err((format!("rate_limits.{name}.per_second"), problem));
        }
        at_least(&format!("rate_limits.{name}.burst"), *burst, 1)?;
    }

    // Whoever logs in has a device, and needs room for a message.
    at_least("limits.devices", settings.limits.devices, 1)?;
    at_least("limits.waiting_messages", settings.limits.waiting_messages, 1)?;
    at_least("limits.waiting_message_bytes", settings.limits.waiting_message_bytes, 1_048_576)?;
    at_least("media.max_upload_bytes", media.max_upload_bytes, 1)?;
    for (key, most) in
        [("media.max_bytes_per_account", media.max_bytes_per_account), ("media.max_bytes", media.max_bytes)]
    {
        if let Some(most) = most {
            at_least(key, most, 0)?;
        }
    }
    at_least("media.max_pending", media.max_pending, 1)?;
    at_least("media.max_picture_pixels", media.max_picture_pixels, 1)?;
    if let Some(workers) = media.thumbnail_workers {
        at_least("media.thumbnail_workers", workers, 1)?;
        at_most("media.thumbnail_workers", workers, 1_024)?;
    }
    if media.bucket.name.is_some() {
        let not_set = |key: &str| {
            Err((format!("media.bucket.{key}"), "must be set when media.bucket.name is set".to_owned()))
        };
        if media.bucket.access_key_id.is_none() {
            return not_set("access_key_id");
        }
        if media.bucket.secret_access_key.is_none() {
            return not_set("secret_access_key");
        }
    }

    if let Some(localpart) = &settings.server_notices.localpart
        && let Err(problem) = id::check_new_localpart(localpart, settings.server_name.as_str())
    {
        return Err(("server_notices.localpart".to_owned(), problem.to_string()));
    }

    if account.user_types.iter().any(String::is_empty) {
        return Err(("account.user_types".to_owned(), "must not contain an empty text".to_owned()));
    }
    if let Some(user_type) = &account.default_user_type
        && !matches!(user_type.as_str(), "bot" | "support")
        && !account.user_types.contains(user_type)
    {
        let problem =
            format!("{user_type:?} is neither \"bot\" nor \"support\" nor one of account.user_types");
        return Err(("account.default_user_type".to_owned(), problem));
    }
    if account_validity.enabled && account_validity.period_ms.is_none() {
        let problem = "must be set when account_validity.enabled is true".to_owned();
        return Err(("account_validity.period_ms".to_owned(), problem));
    }

    at_least("url_previews.max_picture_bytes", settings.url_previews.max_picture_bytes, 1)?;
    if http::HeaderValue::from_str(&settings.url_previews.language).is_err() {
        return Err((
            "url_previews.language".to_owned(),
            "must be a list such as en or de, en;q=0.5".to_owned(),
        ));
    }
    check_email(settings)?;

    // An event may have 64 KiB; a smaller limit would refuse what every client may send.
    at_least("http.max_body_bytes", http.max_body_bytes, 65_536)?;
    at_least("http.header_timeout_ms", http.header_timeout_ms, 1)?;
    at_least("http.body_timeout_ms", http.body_timeout_ms, 1)?;
    at_least("http.answer_timeout_ms", http.answer_timeout_ms, 1)?;
    at_least("http.max_unsent_bytes", http.max_unsent_bytes, 1_048_576)?;

    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&settings.log.filter) {
        return Err(("log.filter".to_owned(), format!("{error}, in {:?}", settings.log.filter)));
    }
    Ok(())
}

/// Sending e-mail needs more than a server.
fn check_email(settings: &Settings) -> Result<(), Problem> {
    let email = &settings.email;
    let wrong = |key: &str, problem: &str| Err((format!("email.{key}"), problem.to_owned()));
    if let Some(port) = email.port {
        at_least("email.port", port, 1)?;
        at_most("email.port", port, 65_535)?;
    }
    if email.host.as_ref().is_some_and(String::is_empty) {
        return wrong("host", "must not be empty");
    }
    if email.user.is_some() != email.password.is_some() {
        return wrong("user", "must be set together with email.password");
    }
    match &email.from {
        Some(from) if !reeve_outgoing::is_sender(from) => {
            return wrong("from", "expected an address such as name@example.org or Name <name@example.org>");
        }
        None if email.host.is_some() => return wrong("from", "must be set when email.host is set"),
        _ => {}
    }
    if email.host.is_some() && settings.public_base_url.is_none() {
        let problem = "must be set when email.host is set: mails have links to this server";
        return Err(("public_base_url".to_owned(), problem.to_owned()));
    }
    Ok(())
}

fn at_least<T: PartialOrd + std::fmt::Display>(key: &str, value: T, least: T) -> Result<(), Problem> {
    if value < least {
        return Err((key.to_owned(), format!("must be at least {least}, not {value}")));
    }
    Ok(())
}

fn at_most<T: PartialOrd + std::fmt::Display>(key: &str, value: T, most: T) -> Result<(), Problem> {
    if value > most {
        return Err((key.to_owned(), format!("must be at most {most}, not {value}")));
    }
    Ok(())
}
