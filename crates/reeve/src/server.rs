//! Puts the server together, starts it and stops it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;
use reeve_accounts::password::Hasher;
use reeve_accounts::policy::{HashingCost, Policy};
use reeve_accounts::seen::Seen;
use reeve_accounts::{import, key_backup, keys, registration, sessions, to_device};
use reeve_db::{DatabaseUrl, Db, DbError, OpenError, Options};
use reeve_http::app::{App, HttpSettings};
use reeve_http::limits::{Limiter, RateLimit, RateLimits};
use reeve_http::metrics::Metrics;
use reeve_http::service::Service;
use reeve_http::{Route, openapi, serve};
use reeve_jobs::Jobs;
use reeve_media::store::BucketSettings;
use reeve_media::{Library, StoreSettings};
use reeve_model::{Clock, id};
use reeve_outgoing::{Filter, MailSettings, MailTls, Mailer, Outgoing};
use reeve_previews::Previews;
use reeve_push::{MailStyle, Push};
use reeve_rooms::push::KeptRules;
use reeve_rooms::{Home, SigningKey, deletion, ephemeral, people, purge, redactions};
use reeve_store::{transactions, user_bulk};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::settings::{self, Database, EmailTls, Settings};

/// How many files, and so connections, may be open, as far as the system allows.
const MOST_FILES: u64 = 1 << 20;
/// How often sightings of accounts are written.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How often it is written down when uploads were last downloaded.
const FLUSH_MEDIA_EVERY: Duration = Duration::from_mins(1);
/// How often the media store is swept without being told to.
const SWEEP_MEDIA_EVERY: Duration = Duration::from_mins(1);
/// How long a stopping server sweeps the media store.
const LAST_SWEEP: Duration = Duration::from_secs(5);
/// How often it is looked who stopped typing or went away.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long a request with a transaction id is remembered.
const TRANSACTIONS_MS: i64 = 24 * 3600 * 1000;
/// How often what has expired is deleted.
const PRUNE_EVERY: Duration = Duration::from_mins(10);
/// How many parts of deleted backups of room keys, and of messages to devices that are gone, are deleted at a time.
const PARTS: usize = 100;
/// How long access tokens live that can be refreshed, unless set.
const REFRESHABLE_LIFETIME_MS: i64 = 300_000;
/// How long a login waits for its turn to hash.
const HASHING_WAIT: Duration = Duration::from_secs(20);

/// How the server calls itself in requests that it makes.
const USER_AGENT: &str = concat!("Reeve/", env!("CARGO_PKG_VERSION"));

/// Everything a server needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the homeserver.
    pub server_name: String,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// The folder of the embedded database, which no two servers may use; `None` with PostgreSQL.
    pub locked_dir: Option<PathBuf>,
    /// The database.
    pub database: DatabaseUrl,
    /// How the database is used.
    pub database_options: Options,
    /// What the operator decided about accounts.
    pub policy: Policy,
    /// What hashing a password costs.
    pub hashing: HashingCost,
    /// Settings of the HTTP side.
    pub http: HttpSettings,
    /// Rate limits.
    pub rate_limits: RateLimits,
    /// What the operator decided about uploads.
    pub media: reeve_media::Settings,
    /// What the operator decided about rooms.
    pub rooms: reeve_rooms::Settings,
    /// Networks inside, to which the server may make requests all the same.
    pub allowed_ranges: Vec<IpNet>,
    /// The server that takes e-mail, if there is one, and what e-mail looks like.
    pub mail: Option<(MailSettings, MailStyle)>,
    /// Previews of web pages, where they are wanted.
    pub previews: Option<reeve_previews::Settings>,
    /// What the operator decided about notifications.
    pub push: reeve_push::Settings,
    /// The time.
    pub clock: Clock,
}

impl Config {
    /// The configuration that the settings ask for.
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
        let media = &settings.media;
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
                guests: registration.guests,
                registration_shared_secret: registration
                    .shared_secret
                    .as_ref()
                    .map(|secret| secret.expose().to_owned()),
                password_enabled: password.enabled,
                token_lifetime_ms: tokens.lifetime_ms,
                refreshable_token_lifetime_ms: tokens.lifetime_ms.unwrap_or(REFRESHABLE_LIFETIME_MS),
                refresh_token_lifetime_ms: tokens.refresh_lifetime_ms,
                login_via_existing_session: tokens.login_via_existing_session,
                extra_user_types: settings.account.user_types.clone(),
                default_user_type: settings.account.default_user_type.clone(),
                account_validity_period_ms: settings
                    .account_validity
                    .period_ms
                    .filter(|_| settings.account_validity.enabled),
            },
            hashing: HashingCost {
                pepper: password.pepper.expose().to_owned(),
                memory_kib: password.memory_kib,
                iterations: password.iterations,
                workers: password
                    .workers
                    .map_or((processors / 2).max(1), |workers| usize::try_from(workers).unwrap_or(1)),
                wait: HASHING_WAIT,
            },
            http: HttpSettings {
                max_body: settings.http.max_body_bytes,
                header_timeout: seconds(settings.http.header_timeout_ms),
                body_timeout: seconds(settings.http.body_timeout_ms),
                trusted_proxies: settings.trusted_proxies.0.clone(),
                public_base_url: settings.public_base_url.as_ref().map(|url| url.as_str().to_owned()),
            },
            rate_limits: RateLimits {
                enabled: settings.rate_limits.enabled,
                message: limit(&settings.rate_limits.message),
                media: limit(&settings.rate_limits.media),
                url_previews: limit(&settings.rate_limits.url_previews),
                registration: limit(&settings.rate_limits.registration),
                login_address: limit(&settings.rate_limits.login),
                login_account: limit(&settings.rate_limits.login_account),
                login_failed: limit(&settings.rate_limits.login_failed),
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
            },
            rooms: reeve_rooms::Settings {
                notices_localpart: settings.server_notices.localpart.clone(),
                notices_name: settings.server_notices.name.clone(),
                search_all_users: settings.user_directory.search_all_users,
                presence: settings.presence.enabled,
            },
            allowed_ranges: settings.outgoing.allow_ranges.0.clone(),
            mail: mail(settings),
            previews: settings.url_previews.enabled.then(|| reeve_previews::Settings {
                max_picture_bytes: usize::try_from(settings.url_previews.max_picture_bytes)
                    .unwrap_or(usize::MAX),
                language: settings.url_previews.language.clone(),
            }),
            push: reeve_push::Settings {
                include_content: settings.push.include_content,
                unread_by_room: settings.push.group_unread_count_by_room,
            },
            clock: Clock::System,
        }
    }
}

/// Where the settings want uploads to be kept.
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

/// The server that takes e-mail, and what e-mail looks like, if the settings name one.
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

/// Why a server does not start; each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made or used.
    #[error("cannot use the data folder {}: {reason}", folder.display())]
    DataFolder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Another server uses the data folder.
    #[error("the data folder {} is in use by another server", .0.display())]
    InUse(PathBuf),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// The database cannot be read.
    #[error("cannot read the database: {0}")]
    Read(DbError),
    /// What an import left undone cannot be done.
    #[error("an import was broken off, and the lists of accounts cannot be made: {0}")]
    Import(String),
    /// The media store cannot be used.
    #[error("{0}")]
    Media(reeve_media::Error),
    /// The accounts in the database are those of another server.
    #[error(
        "the accounts in this database belong to {stored}, not to {given}: give the --server-name of the server"
    )]
    OtherName {
        /// The name the accounts have.
        stored: String,
        /// The name in the settings.
        given: String,
    },
    /// Requests cannot be made.
    #[error("cannot prepare to make requests: {0}")]
    Outgoing(reeve_outgoing::Error),
    /// E-mail cannot be sent.
    #[error("the settings under [email] are of no use: {0}")]
    Mail(String),
    /// The settings of password hashing are out of range.
    #[error("the settings under [password] are out of range: {0}")]
    Hashing(String),
}

/// The routes of the server.
pub fn routes() -> Vec<Arc<Route>> {
    let mut routes = reeve_admin_api::routes();
    routes.extend(reeve_client_api::routes());
    let mut routes: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
    let mut all = routes.clone();
    all.push(Arc::new(reeve_admin_api::openapi_route(|| Arc::from(""))));
    // It takes a while to make, and few ever ask for it.
    let document: OnceLock<Arc<str>> = OnceLock::new();
    routes.push(Arc::new(reeve_admin_api::openapi_route(move || {
        Arc::clone(document.get_or_init(|| Arc::from(openapi::document(&all).to_string())))
    })));
    routes
}

/// A running server.
pub struct Running {
    /// What handlers work with.
    pub app: Arc<App>,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    _lock: Option<File>,
}

impl Running {
    /// The first address it listens on, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The addresses it listens on, with real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops: accepts no more, lets requests under way finish within a bounded time, puts jobs back, writes what
    /// waits, and closes the database.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for listener in self.listeners {
            let _ = listener.await;
        }
        self.app.jobs.stop();
        for task in self.tasks {
            let _ = task.await;
        }
        if let Err(error) = self.app.seen.flush(&self.app.db).await {
            tracing::warn!(%error, "when accounts were last seen could not be written");
        }
        if let Err(error) = self.app.media.flush().await {
            tracing::warn!(%error, "when uploads were last downloaded could not be written");
        }
        // What is left is swept when the server starts again.
        if let Ok(Err(error)) = tokio::time::timeout(LAST_SWEEP, self.app.media.sweep()).await {
            tracing::warn!(%error, "the media store could not be swept");
        }
        self.app.db.close().await;
    }
}

/// Makes a folder that only its owner can look into: password hashes are nobody else's business.
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Refuses to work on the accounts of a server of another name: nobody could log in, and new accounts would be
/// mixed among them. Looks at one account.
pub(crate) async fn check_server_name(db: &Db, server_name: &str) -> Result<(), StartError> {
    let stored = db.read(reeve_store::users::any_user_id).await.map_err(StartError::Read)?;
    let stored = stored.as_deref().and_then(|user_id| id::split(user_id).ok()).map(|(_, domain)| domain);
    match stored {
        Some(stored) if stored != server_name => {
            Err(StartError::OtherName { stored: stored.to_owned(), given: server_name.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Ends what an import of accounts left undone that was broken off.
async fn catch_up(db: &Db) -> Result<(), StartError> {
    if !db.read(user_bulk::is_pending).await.map_err(StartError::Read)? {
        return Ok(());
    }
    tracing::info!("an import was broken off: making the lists of accounts");
    import::catch_up(db, |_| ()).await.map_err(|error| StartError::Import(error.to_string()))
}

/// Takes the lock on the data folder, which the system gives back when the process ends, however it ends.
pub(crate) fn lock(folder: PathBuf) -> Result<File, StartError> {
    let data_folder = |reason| StartError::DataFolder { folder: folder.clone(), reason };
    make_private_folder(&folder).map_err(data_folder)?;
    let file = File::create(folder.join("reeve.lock")).map_err(data_folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StartError::InUse(folder)),
        Err(fs::TryLockError::Error(reason)) => Err(data_folder(reason)),
    }
}

/// Each connection takes a file handle, and systems start programs with few of them: allows this process as many as
/// the system grants.
pub fn allow_many_files() {
    if let Err(error) = rlimit::increase_nofile_limit(MOST_FILES) {
        tracing::warn!(%error, "the number of open files cannot be raised");
    }
}

/// Starts a server.
pub async fn start(config: Config) -> Result<Running, StartError> {
    start_with(config, Vec::new()).await
}

/// Starts a server that answers at more routes, such as those of a benchmark.
pub async fn start_with(config: Config, extra: Vec<Route>) -> Result<Running, StartError> {
    let lock = config.locked_dir.map(lock).transpose()?;
    let mut listeners = Vec::new();
    for address in &config.listen {
        let listen = |reason| StartError::Listen { address: *address, reason };
        listeners.push(TcpListener::bind(address).await.map_err(listen)?);
    }
    let db = Db::open(&config.database, config.database_options, reeve_store::MIGRATIONS).await?;
    check_server_name(&db, &config.server_name).await?;
    catch_up(&db).await?;
    let hasher = Hasher::new(config.hashing).map_err(|error| StartError::Hashing(error.to_string()))?;
    let key = SigningKey::load(&db, config.clock.now_ms()).await.map_err(StartError::Read)?;
    let outgoing =
        Outgoing::new(Filter::new(config.allowed_ranges), USER_AGENT).map_err(StartError::Outgoing)?;
    let server_name: Arc<str> = Arc::from(config.server_name);
    let home = Arc::new(Home {
        server_name: Arc::clone(&server_name),
        key,
        settings: config.rooms,
        push_rules: KeptRules::default(),
    });
    let mailing = match config.mail {
        Some((server, style)) => Some((Mailer::new(&server).map_err(StartError::Mail)?, style)),
        None => None,
    };
    let sends_mail = mailing.is_some();
    let push = Push::new(
        Arc::clone(&home),
        db.clone(),
        config.clock.clone(),
        outgoing.clone(),
        mailing,
        config.push,
    );
    let metrics = Metrics::new();
    metrics.register(|registry| {
        db.metrics().register(registry);
        push.register(registry);
    });
    let kinds = vec![
        people::retire(&home),
        people::spread_profile(&home),
        redactions::job(&home),
        deletion::job(&home),
        purge::job(&home),
    ];
    let media = Library::open(config.media, db.clone(), config.clock.clone()).map_err(StartError::Media)?;
    if lock.is_some() {
        // Nobody else uses the database, so nobody is writing what was being written.
        media.give_up_former().await.map_err(StartError::Media)?;
    }
    let previews = config.previews.map(|wanted| {
        Previews::new(Arc::clone(&server_name), outgoing.clone(), media.clone(), config.clock.clone(), wanted)
    });
    let stop = watch::Sender::new(false);
    let app = Arc::new(App {
        server_name,
        jobs: Jobs::new(db.clone(), config.clock.clone(), kinds),
        media,
        home,
        hub: Arc::default(),
        db,
        clock: config.clock,
        policy: config.policy,
        hasher,
        seen: Seen::default(),
        limiter: Limiter::new(config.rate_limits),
        outgoing,
        previews,
        sends_mail,
        http: config.http,
        metrics,
        stop: stop.clone(),
    });
    let mut routes = routes();
    routes.extend(extra.into_iter().map(Arc::new));
    let service = Arc::new(Service::new(Arc::clone(&app), &routes));
    let mut tasks = app.jobs.start();
    tasks.push(tokio::spawn(sweep_media(Arc::clone(&app), stop.subscribe())));
    tasks.push(tokio::spawn(keep_house(Arc::clone(&app), push.clone(), stop.subscribe())));
    tasks.extend(push.start(app.hub.followed(), &stop.subscribe()));
    tasks.push(tokio::spawn(Arc::clone(&app.hub).follow(app.db.clone(), stop.subscribe())));
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let listeners = listeners
        .into_iter()
        .map(|listener| {
            let serving =
                serve::serve(listener, Arc::clone(&service), app.http.header_timeout, stop.subscribe());
            tokio::spawn(serving)
        })
        .collect();
    Ok(Running { app, addresses, stop, listeners, tasks, _lock: lock })
}

/// Writes sightings in batches and deletes what has expired.
async fn keep_house(app: Arc<App>, push: Push, mut stop: watch::Receiver<bool>) {
    let mut flush = tokio::time::interval(FLUSH_EVERY);
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut flush_media = tokio::time::interval(FLUSH_MEDIA_EVERY);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    flush_media.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            () = serve::stopped(&mut stop) => return,
            _ = flush.tick() => app.seen.flush(&app.db).await,
            _ = flush_media.tick() => app.media.flush().await,
            _ = prune.tick() => prune_expired(&app, &push).await,
            _ = sweep.tick() => sweep_ephemeral(&app).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "housekeeping failed and will be tried again");
        }
    }
}

/// Deletes what is in the media store and belongs to nothing, soon after it is so.
async fn sweep_media(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(SWEEP_MEDIA_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = serve::stopped(&mut stop) => return,
            _ = every.tick() => {}
            () = app.media.strayed() => {}
        }
        if let Err(error) = app.media.sweep().await {
            tracing::warn!(%error, "the media store could not be swept and will be again");
        }
    }
}

/// Lets those stop typing whose time ran out, and those go who do nothing for long.
async fn sweep_ephemeral(app: &Arc<App>) -> Result<(), DbError> {
    let now = app.clock.now_ms();
    let due = app.db.read(move |tx| -> Result<_, DbError> { ephemeral::is_sweep_due(tx, now) }).await?;
    if !due {
        return Ok(());
    }
    let hub = Arc::clone(&app.hub);
    app.db
        .write(move |tx| -> Result<(), DbError> {
            ephemeral::sweep_typing(tx, now)?;
            ephemeral::sweep_presence(tx, &|user_id| hub.is_waiting(user_id), now)?;
            Ok(())
        })
        .await
}

async fn prune_expired(app: &App, push: &Push) -> Result<(), DbError> {
    let now = app.clock.now_ms();
    push.prune().await?;
    app.seen.prune(&app.db, now).await?;
    app.jobs.prune().await?;
    for clear in [key_backup::clear, to_device::clear] {
        for _ in 0..PARTS {
            if !app.db.write(clear).await? {
                break;
            }
        }
    }
    app.db
        .write(move |tx| -> Result<(), DbError> {
            sessions::prune(tx, now)?;
            keys::prune(tx, now)?;
            registration::prune(tx, now)?;
            transactions::prune(tx, now - TRANSACTIONS_MS)?;
            reeve_client_api::prune(tx, now)
        })
        .await
}
