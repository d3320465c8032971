//! The configuration of a server, derived from the settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use reeve_accounts::policy::{HashingCost, Limits, MailPolicy, Notices, PasswordRules, Policy};
use reeve_app::limits::{RateLimit, RateLimits};
use reeve_app::{
    Contact, Discovery, HtmlSettings, HttpSettings, OAuthSettings, ScimSettings, Support, Turn,
    TurnCredentials,
};
use reeve_db::{DatabaseUrl, Options};
use reeve_media::StoreSettings;
use reeve_media::store::BucketSettings;
use reeve_model::Clock;
use reeve_outgoing::{MailSettings, MailStyle, MailTls};
use reeve_retention::{Lifetimes, MessageSettings};
use url::Url;

use crate::settings::{self, Database, EmailTls, Settings};

/// Default lifetime of access tokens that can be refreshed.
const REFRESHABLE_LIFETIME_MS: i64 = 300_000;
/// Maximum time that a login waits for a hashing thread.
const HASHING_WAIT: Duration = Duration::from_secs(20);

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the homeserver.
    pub server_name: String,
    /// The addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// The folder of the embedded database, which only one server may use; `None` with PostgreSQL.
    pub locked_dir: Option<PathBuf>,
    /// The database.
    pub database: DatabaseUrl,
    /// The options of the database.
    pub database_options: Options,
    /// The account policy.
    pub policy: Policy,
    /// The cost of hashing a password.
    pub hashing: HashingCost,
    /// Settings of the HTTP side.
    pub http: HttpSettings,
    /// The addresses that clients are told.
    pub discovery: Discovery,
    /// The settings for signing in with OAuth 2.0, if it is enabled.
    pub oauth: Option<OAuthSettings>,
    /// Rate limits.
    pub rate_limits: RateLimits,
    /// The settings of uploads.
    pub media: reeve_media::Settings,
    /// The settings of rooms.
    pub rooms: reeve_rooms::Settings,
    /// Inside networks to which the server may make requests.
    pub allowed_ranges: Vec<IpNet>,
    /// The mail server and the style of mails, if e-mail is enabled.
    pub mail: Option<(MailSettings, MailStyle)>,
    /// The rules by which old data is deleted.
    pub retention: reeve_retention::Settings,
    /// The settings of exports.
    pub exports: reeve_export::Settings,
    /// The time for which the outcomes of batches are kept, in milliseconds.
    pub keep_batches_ms: i64,
    /// The settings of previews, if they are enabled.
    pub previews: Option<reeve_previews::Settings>,
    /// The settings of notifications.
    pub push: reeve_push::Settings,
    /// The settings of webhooks.
    pub webhooks: reeve_webhooks::Settings,
    /// The settings for provisioning with SCIM.
    pub scim: ScimSettings,
    /// The look of pages.
    pub html: HtmlSettings,
    /// The clock.
    pub clock: Clock,
}

impl Config {
    /// The configuration for these settings.
    pub fn from_settings(settings: &Settings) -> Self {
        let (database, locked_dir) = match &settings.database {
            None => {
                (DatabaseUrl::Sqlite(settings.data_dir.join("reeve.db")), Some(settings.data_dir.clone()))
            }
            Some(Database::Sqlite(file)) => {
                (DatabaseUrl::Sqlite(file.clone()), Some(settings.data_dir.clone()))
            }
            Some(Database::Postgres(url)) => (DatabaseUrl::Postgres(url.expose().to_owned()), None),
        };
        let mut database_options = Options::default();
        if let Some(connections) = settings.database_connections {
            let connections = usize::try_from(connections).unwrap_or(1);
            database_options = Options { readers: connections, connections, ..database_options };
        }
        let (media, notices) = (&settings.media, &settings.server_notices);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let seconds = |ms: u32| Duration::from_millis(u64::from(ms));
        let limit = |limit: &settings::RateLimit| RateLimit {
            per_second: limit.per_second,
            burst: i64::from(limit.burst),
        };
        let (registration, password, tokens) = (&settings.registration, &settings.password, &settings.tokens);
        Self {
            server_name: settings.server_name.to_string(),
            listen: settings.listen.0.clone(),
            locked_dir,
            database,
            database_options,
            policy: Policy {
                registration_enabled: registration.enabled,
                registration_requires_token: registration.require_token,
                registration_requires_email: registration.require_email,
                guests: registration.guests,
                registration_shared_secret: registration
                    .shared_secret
                    .as_ref()
                    .map(|secret| secret.expose().to_owned()),
                password_enabled: password.enabled,
                password_rules: PasswordRules {
                    min_length: password.policy.min_length,
                    require_digit: password.policy.require_digit,
                    require_symbol: password.policy.require_symbol,
                    require_lowercase: password.policy.require_lowercase,
                    require_uppercase: password.policy.require_uppercase,
                },
                token_lifetime_ms: tokens.lifetime_ms,
                refreshable_token_lifetime_ms: tokens.lifetime_ms.unwrap_or(REFRESHABLE_LIFETIME_MS),
                oauth_token_lifetime_ms: settings.oauth.token_lifetime_ms,
                refresh_token_lifetime_ms: tokens.refresh_lifetime_ms,
                browser_session_idle_ms: settings.pages.session_idle_ms,
                browser_session_longest_ms: settings.pages.session_lifetime_ms,
                login_via_existing_session: tokens.login_via_existing_session,
                extra_user_types: settings.account.user_types.clone(),
                default_user_type: settings.account.default_user_type.clone(),
                account_validity_period_ms: settings
                    .account_validity
                    .period_ms
                    .filter(|_| settings.account_validity.enabled),
                account_validity_remind_ms: settings.account_validity.remind_ms,
                keep_deactivated_ms: settings.account.keep_deactivated_ms,
                notices_localpart: settings.server_notices.localpart.clone(),
                groups_localpart: settings.scim.groups_localpart.clone(),
                mail: mail_policy(settings),
                limits: limits(&settings.limits),
            },
            hashing: HashingCost {
                pepper: password.pepper.expose().to_owned(),
                memory_kib: password.memory_kib,
                iterations: password.iterations,
                workers: password.workers.map_or(processors, |workers| usize::try_from(workers).unwrap_or(1)),
                wait: HASHING_WAIT,
            },
            http: HttpSettings {
                max_body: settings.http.max_body_bytes,
                header_timeout: seconds(settings.http.header_timeout_ms),
                body_timeout: seconds(settings.http.body_timeout_ms),
                answer_timeout: seconds(settings.http.answer_timeout_ms),
                max_unsent: settings.http.max_unsent_bytes,
                // Browsers take cookies for TLS from a server on the same machine, too.
                secure_cookies: settings
                    .public_base_url
                    .as_ref()
                    .is_none_or(|url| url.as_str().starts_with("https:")),
                trusted_proxies: settings.trusted_proxies.0.clone(),
            },
            discovery: Discovery {
                public_base_url: settings.public_base_url.as_ref().map(|url| url.as_str().to_owned()),
                support: support(settings),
                turn: turn(settings),
            },
            oauth: oauth(settings),
            rate_limits: RateLimits {
                enabled: settings.rate_limits.enabled,
                message: limit(&settings.rate_limits.message),
                profile: limit(&settings.rate_limits.profile),
                room_creation: limit(&settings.rate_limits.room_creation),
                joins: limit(&settings.rate_limits.joins),
                joins_per_room: limit(&settings.rate_limits.joins_per_room),
                invites_per_sender: limit(&settings.rate_limits.invites_per_sender),
                invites_per_recipient: limit(&settings.rate_limits.invites_per_recipient),
                invites_per_room: limit(&settings.rate_limits.invites_per_room),
                to_device: limit(&settings.rate_limits.to_device),
                reports: limit(&settings.rate_limits.reports),
                media: limit(&settings.rate_limits.media),
                url_previews: limit(&settings.rate_limits.url_previews),
                registration: limit(&settings.rate_limits.registration),
                registration_attempts: limit(&settings.rate_limits.registration_attempts),
                login_address: limit(&settings.rate_limits.login),
                login_account: limit(&settings.rate_limits.login_account),
                login_failed: limit(&settings.rate_limits.login_failed),
                oauth_requests: limit(&settings.rate_limits.oauth_requests),
                oauth_failed: limit(&settings.rate_limits.oauth_failed),
                email_requests: limit(&settings.rate_limits.email_requests),
                email_account: limit(&settings.rate_limits.email_account),
                email_recipient: limit(&settings.rate_limits.email_recipient),
                service_tokens: limit(&settings.rate_limits.service_tokens),
            },
            media: reeve_media::Settings {
                store: media_store(settings),
                max_upload_bytes: u64::try_from(media.max_upload_bytes).unwrap_or_default(),
                max_bytes_per_account: media.max_bytes_per_account,
                max_bytes: media.max_bytes,
                max_pending: i64::from(media.max_pending),
                pending_ms: media.pending_ms,
                max_picture_pixels: u64::from(media.max_picture_pixels),
                thumbnail_workers: media
                    .thumbnail_workers
                    .map_or((processors / 2).max(1), |workers| usize::try_from(workers).unwrap_or(1)),
                bin_ms: media.bin_ms,
            },
            rooms: reeve_rooms::Settings {
                notices: reeve_rooms::notices::Settings {
                    display_name: notices.display_name.clone(),
                    avatar_url: notices.avatar_url.clone(),
                    room_name: notices.room_name.clone(),
                    room_topic: notices.room_topic.clone(),
                    room_avatar_url: notices.room_avatar_url.clone(),
                    auto_join: notices.auto_join,
                },
                search_all_users: settings.user_directory.search_all_users,
                presence: settings.presence.enabled,
                bin_ms: settings.rooms.bin_ms,
            },
            allowed_ranges: settings.outgoing.allow_ranges.0.clone(),
            mail: mail(settings),
            retention: retention(&settings.retention),
            exports: reeve_export::Settings {
                own: settings.exports.own,
                own_interval_ms: settings.exports.own_interval_ms,
                keep_ms: settings.exports.keep_ms,
                link_ms: settings.exports.link_ms,
                max_bytes: u64::try_from(settings.exports.max_bytes).unwrap_or_default(),
            },
            keep_batches_ms: settings.batches.keep_ms,
            previews: settings.url_previews.enabled.then(|| reeve_previews::Settings {
                max_picture_bytes: usize::try_from(settings.url_previews.max_picture_bytes)
                    .unwrap_or(usize::MAX),
                language: settings.url_previews.language.clone(),
            }),
            push: reeve_push::Settings {
                include_content: settings.push.include_content,
                unread_by_room: settings.push.group_unread_count_by_room,
            },
            webhooks: reeve_webhooks::Settings {
                max: settings.webhooks.max.into(),
                history_ms: settings.webhooks.history_ms,
            },
            scim: ScimSettings {
                external_id_provider: settings.scim.external_id_provider.clone(),
                user_name_domain: settings.scim.user_name_domain.as_ref().map(|domain| domain.to_lowercase()),
                inactive: settings.scim.inactive.0,
                groups_localpart: settings.scim.groups_localpart.clone(),
                new_groups: settings.scim.new_groups.0,
                reuse_erased: settings.scim.reuse_erased,
            },
            html: HtmlSettings {
                templates_folder: settings.pages.templates.clone(),
                brand: settings.pages.name.clone().unwrap_or_else(|| settings.server_name.to_string()),
                logo: settings.pages.logo.clone(),
                accent: settings.pages.accent.0,
            },
            clock: Clock::System,
        }
    }
}

/// The limits of storage per account.
fn limits(limits: &settings::Limits) -> Limits {
    Limits {
        account_data: limits.account_data.into(),
        account_data_bytes: limits.account_data_bytes.into(),
        devices: limits.devices.into(),
        one_time_keys: limits.one_time_keys.into(),
        key_backups: limits.key_backups.into(),
        backed_up_keys: limits.backed_up_keys.into(),
        key_backup_bytes: limits.key_backup_bytes.into(),
        pushers: limits.pushers.into(),
        push_rules: limits.push_rules.into(),
        filters: limits.filters.into(),
        email_addresses: limits.email_addresses.into(),
        aliases_per_account: limits.aliases_per_account.into(),
        aliases_per_room: limits.aliases_per_room.into(),
        reports: limits.reports.into(),
        waiting_messages: limits.waiting_messages.into(),
        waiting_message_bytes: limits.waiting_message_bytes.into(),
        waiting_message_bytes_per_account: limits.waiting_message_bytes_per_account.into(),
    }
}

/// The settings for signing in with OAuth 2.0, if it is enabled and browsers can be told where.
fn oauth(settings: &Settings) -> Option<OAuthSettings> {
    let base_url = settings.public_base_url.as_ref().filter(|_| settings.oauth.enabled)?;
    Some(OAuthSettings {
        base_url: base_url.as_str().to_owned(),
        unused_clients_ms: settings.oauth.unused_clients_ms,
    })
}

/// The rules by which old data is deleted.
fn retention(retention: &settings::Retention) -> reeve_retention::Settings {
    let messages = &retention.messages;
    reeve_retention::Settings {
        devices_ms: retention.devices_ms,
        media_ms: retention.media_ms,
        preview_media_ms: retention.preview_media_ms,
        messages: MessageSettings {
            enabled: messages.enabled,
            lifetimes: Lifetimes {
                default_ms: messages.default_lifetime_ms,
                min_ms: messages.min_lifetime_ms,
                max_ms: messages.max_lifetime_ms,
            },
        },
        guests_ms: retention.guests_ms,
        unused_accounts_ms: retention.unused_accounts_ms,
        audit_ms: retention.audit_ms,
        ip_addresses_ms: retention.ip_addresses_ms,
    }
}

/// The settings of the media store.
fn media_store(settings: &Settings) -> StoreSettings {
    let bucket = &settings.media.bucket;
    let Some(name) = &bucket.name else {
        let folder = settings.media.folder.clone();
        return StoreSettings::Folder(folder.unwrap_or_else(|| settings.data_dir.join("media")));
    };
    StoreSettings::Bucket(BucketSettings {
        bucket: name.clone(),
        region: bucket.region.clone(),
        endpoint: bucket.endpoint.as_ref().map(|url| url.as_str().to_owned()),
        access_key_id: bucket.access_key_id.clone().unwrap_or_default(),
        secret_access_key: bucket
            .secret_access_key
            .as_ref()
            .map(|key| key.expose().to_owned())
            .unwrap_or_default(),
        prefix: bucket.prefix.clone(),
        path_style: bucket.path_style,
        spool: settings.data_dir.clone(),
    })
}

/// The support contacts, if any are set.
fn support(settings: &Settings) -> Option<Support> {
    let support = &settings.support;
    let contact = |role, matrix_id: &Option<String>, email_address: &Option<String>| {
        (matrix_id.is_some() || email_address.is_some()).then(|| Contact {
            role,
            matrix_id: matrix_id.clone(),
            email_address: email_address.clone(),
        })
    };
    let contacts: Vec<Contact> = [
        contact("m.role.admin", &support.admin_matrix_id, &support.admin_email),
        contact("m.role.security", &support.security_matrix_id, &support.security_email),
    ]
    .into_iter()
    .flatten()
    .collect();
    let support_page = support.page.as_ref().map(|url| url.as_str().to_owned());
    (!contacts.is_empty() || support_page.is_some()).then_some(Support { contacts, support_page })
}

/// The TURN servers, if any are set.
fn turn(settings: &Settings) -> Option<Turn> {
    let voip = &settings.voip;
    let exposed =
        |secret: &Option<settings::Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let credentials = match exposed(&voip.turn_shared_secret) {
        Some(secret) => TurnCredentials::Secret(secret),
        None => TurnCredentials::Fixed {
            username: voip.turn_username.clone()?,
            password: exposed(&voip.turn_password)?,
        },
    };
    (!voip.turn_uris.is_empty()).then(|| Turn {
        uris: voip.turn_uris.clone(),
        credentials,
        lifetime_ms: voip.turn_user_lifetime_ms,
        guests: voip.turn_allow_guests,
    })
}

/// The mail server and the style of mails, if a server is set.
fn mail(settings: &Settings) -> Option<(MailSettings, MailStyle)> {
    let email = &settings.email;
    let (host, from) = (email.host.clone()?, email.from.clone()?);
    let credentials =
        email.user.clone().zip(email.password.as_ref().map(|secret| secret.expose().to_owned()));
    let server = MailSettings {
        host,
        port: email.port.and_then(|port| u16::try_from(port).ok()),
        tls: match email.tls {
            EmailTls::Tls => MailTls::Tls,
            EmailTls::StartTls => MailTls::StartTls,
            EmailTls::None => MailTls::None,
        },
        credentials,
        from,
        server_name: settings.server_name.to_string(),
    };
    let style = MailStyle {
        app_name: email.app_name.clone(),
        public_base_url: settings.public_base_url.as_ref()?.as_str().to_owned(),
        client_base_url: email.client_base_url.as_ref().map(|url| url.as_str().to_owned()),
    };
    Some((server, style))
}

/// The decisions about e-mail.
fn mail_policy(settings: &Settings) -> MailPolicy {
    let email = &settings.email;
    let own = [&settings.public_base_url, &email.client_base_url].into_iter().flatten();
    let own = own.filter_map(|url| Url::parse(url.as_str()).ok()?.host_str().map(str::to_owned));
    let others = email.next_link_hosts.iter().filter_map(|host| url::Host::parse(host).ok());
    MailPolicy {
        enabled: email.host.is_some(),
        language: email.language.0,
        link_ms: email.link_ms,
        hides_addresses: email.hide_addresses,
        own_addresses: email.own_addresses,
        next_link_hosts: own.chain(others.map(|host| host.to_string())).collect(),
        notices: Notices {
            sign_in: email.notices.sign_in,
            password: email.notices.password,
            addresses: email.notices.addresses,
        },
        ..MailPolicy::default()
    }
}
