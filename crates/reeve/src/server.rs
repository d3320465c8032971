//! The server: wiring, start and stop.

mod config;
mod exposed;
mod housekeeping;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reeve_accounts::import;
use reeve_accounts::kept;
use reeve_accounts::password::Hasher;
use reeve_accounts::seen::Seen;
use reeve_accounts::selections::Selections;
use reeve_accounts::service_uses::ServiceUses;
use reeve_app::limits::Limiter;
use reeve_app::metrics::Metrics;
use reeve_app::{App, Base, Html, Route, Service, openapi, serve};
use reeve_batch::Means;
use reeve_db::{Db, DbError, OpenError};
use reeve_export::Exports;
use reeve_jobs::Jobs;
use reeve_mail::Mails;
use reeve_media::Library;
use reeve_model::id;
use reeve_outgoing::{Filter, Mailer, Outgoing};
use reeve_previews::Previews;
use reeve_push::Push;
use reeve_rooms::push::PushRuleCache;
use reeve_rooms::{Home, SigningKey, deletion, people, position, purge, redactions, restore};
use reeve_store::lists::users::bulk;
use reeve_webhooks::Webhooks;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::config::Config;
pub(crate) use self::exposed::readable_by_others;
use self::housekeeping::{flush_seen, run_housekeeping, sweep_media};

/// Maximum number of open files, and so of connections, as far as the system allows.
const MAX_FILES: u64 = 1 << 20;
/// Maximum time that a stopping server sweeps the media store.
const LAST_SWEEP: Duration = Duration::from_secs(5);
/// The `User-Agent` of requests that the server makes.
const USER_AGENT: &str = concat!("Reeve/", env!("CARGO_PKG_VERSION"));

/// The reason why a server does not start; each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be created or used.
    #[error("cannot use the data folder {}: {reason}", folder.display())]
    DataFolder {
        /// The folder.
        folder: PathBuf,
        /// The reason given by the system.
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
        /// The reason given by the system.
        reason: io::Error,
    },
    /// The database cannot be read.
    #[error("cannot read the database: {0}")]
    Read(DbError),
    /// The epoch of the stream cannot be begun.
    #[error("cannot begin an epoch of the stream: {0}")]
    Epoch(DbError),
    /// An interrupted import cannot be completed.
    #[error("an interrupted import could not be completed: {0}")]
    Import(String),
    /// The media store cannot be used.
    #[error("{0}")]
    Media(reeve_media::Error),
    /// The accounts in the database belong to another server.
    #[error(
        "the accounts in this database belong to {stored}, not to {given}: give the --server-name of the server"
    )]
    OtherName {
        /// The server name of the accounts.
        stored: String,
        /// The name in the settings.
        given: String,
    },
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client: {0}")]
    Outgoing(reeve_outgoing::Error),
    /// The settings of e-mail are invalid.
    #[error("invalid [email] settings: {0}")]
    Mail(String),
    /// The pages cannot be made.
    #[error("invalid [pages] settings: {0}")]
    Pages(String),
    /// The settings of password hashing are out of range.
    #[error("invalid [password] settings: {0}")]
    Hashing(String),
}

/// The routes of the server.
pub fn routes() -> Vec<Arc<Route>> {
    let mut routes = reeve_admin_api::routes();
    routes.extend(reeve_client_api::routes());
    routes.extend(reeve_oauth::routes());
    routes.extend(reeve_scim::routes());
    routes.extend(reeve_pages::routes());
    let mut routes: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
    let mut all = routes.clone();
    all.push(Arc::new(reeve_admin_api::openapi_route(|| Arc::from(""))));
    // It takes a while to generate, and few requests need it.
    let document: OnceLock<Arc<str>> = OnceLock::new();
    routes.push(Arc::new(reeve_admin_api::openapi_route(move || {
        Arc::clone(document.get_or_init(|| Arc::from(openapi::document(&all).to_string())))
    })));
    routes
}

/// A running server.
pub struct Running {
    /// The state that handlers work with.
    pub app: Arc<App>,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    _lock: Option<File>,
}

impl Running {
    /// The first address that it listens on, with its actual port.
    pub fn address(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The addresses that it listens on, with actual ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops: accepts no more connections, lets requests in progress finish within a bounded time, releases
    /// jobs, writes data in memory, and closes the database.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for listener in self.listeners {
            let _ = listener.await;
        }
        self.app.jobs.stop();
        for task in self.tasks {
            let _ = task.await;
        }
        if let Err(error) = flush_seen(&self.app).await {
            tracing::warn!(%error, "the last-seen times of accounts and service tokens could not be written");
        }
        if let Err(error) = self.app.media.flush().await {
            tracing::warn!(%error, "the last download times of uploads could not be written");
        }
        // The next start of the server sweeps the rest.
        if let Ok(Err(error)) = tokio::time::timeout(LAST_SWEEP, self.app.media.sweep()).await {
            tracing::warn!(%error, "the media store could not be swept");
        }
        self.app.db.close().await;
    }
}

/// Creates a folder that only its owner can read: it contains password hashes.
fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Refuses the accounts of a server with another name: nobody could log in, and new accounts would be mixed
/// among them. Reads one account.
pub(crate) async fn check_server_name(db: &Db, server_name: &str) -> Result<(), StartError> {
    let stored = db.read(reeve_store::users::any_user_id).await.map_err(StartError::Read)?;
    let stored = stored.as_deref().and_then(|user_id| id::split(user_id).ok()).map(|(_, domain)| domain);
    match stored {
        Some(stored) if stored != server_name => {
            Err(StartError::OtherName { stored: stored.to_owned(), given: server_name.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

/// Completes an interrupted import of accounts, or a migration that added a list of them.
async fn catch_up(db: &Db) -> Result<(), StartError> {
    if !db.read(bulk::is_pending).await.map_err(StartError::Read)? {
        return Ok(());
    }
    tracing::info!("rebuilding the lists of accounts, after an interrupted import or a migration");
    import::catch_up(db, |_| ()).await.map_err(|error| StartError::Import(error.to_string()))
}

/// Takes the lock on the data folder, which the system releases when the process ends, however it ends.
pub(crate) fn lock(folder: PathBuf) -> Result<File, StartError> {
    let data_folder = |reason| StartError::DataFolder { folder: folder.clone(), reason };
    make_private_folder(&folder).map_err(data_folder)?;
    let path = folder.join("reeve.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(data_folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StartError::InUse(folder)),
        Err(fs::TryLockError::Error(reason)) => Err(data_folder(reason)),
    }
}

/// Raises the limit of open files as far as the system allows: each connection needs one, and systems start
/// programs with a low limit.
pub fn allow_many_files() {
    if let Err(error) = rlimit::increase_nofile_limit(MAX_FILES) {
        tracing::warn!(%error, "the number of open files cannot be raised");
    }
}

/// Starts a server.
pub async fn start(config: Config) -> Result<Running, StartError> {
    start_with(config, Vec::new()).await
}

/// Starts a server with additional routes, such as those of a benchmark.
pub async fn start_with(config: Config, extra: Vec<Route>) -> Result<Running, StartError> {
    let keep_batches_ms = config.keep_batches_ms;
    let lock = config.locked_dir.map(lock).transpose()?;
    let mut listeners = Vec::new();
    for address in &config.listen {
        let listen = |reason| StartError::Listen { address: *address, reason };
        listeners.push(TcpListener::bind(address).await.map_err(listen)?);
    }
    let db = Db::open(&config.database, config.database_options, reeve_store::MIGRATIONS).await?;
    check_server_name(&db, &config.server_name).await?;
    catch_up(&db).await?;
    let html = Html::new(&config.html).map_err(|error| StartError::Pages(error.to_string()))?;
    let hasher = Hasher::new(config.hashing).map_err(|error| StartError::Hashing(error.to_string()))?;
    let key = SigningKey::load(&db, config.clock.now()).await.map_err(StartError::Read)?;
    let outgoing =
        Outgoing::new(Filter::new(config.allowed_ranges), USER_AGENT).map_err(StartError::Outgoing)?;
    let server_name: Arc<str> = Arc::from(config.server_name);
    let home = Arc::new(Home {
        server_name: Arc::clone(&server_name),
        key,
        settings: config.rooms,
        limits: config.policy.limits,
        push_rules: PushRuleCache::default(),
    });
    let mailing = match config.mail {
        Some((server, style)) => Some((Mailer::new(&server).map_err(StartError::Mail)?, style)),
        None => None,
    };
    let mut policy = config.policy;
    policy.mail.enabled = mailing.is_some();
    let push = Push::new(
        Arc::clone(&home),
        db.clone(),
        config.clock.clone(),
        outgoing.clone(),
        mailing.clone(),
        config.push,
    );
    let mails = Mails::new(Arc::clone(&server_name), db.clone(), config.clock.clone(), mailing);
    let webhooks = Webhooks::new(
        Arc::clone(&server_name),
        db.clone(),
        config.clock.clone(),
        outgoing.clone(),
        config.webhooks,
    );
    let media = Library::open(config.media, db.clone(), config.clock.clone()).map_err(StartError::Media)?;
    let means = Means { home: Arc::clone(&home), policy: policy.clone(), media: media.clone() };
    let kinds = vec![
        reeve_batch::job(means),
        people::clear_deactivated(&home, &media),
        people::spread_profile(&home),
        restore::job(&home),
        kept::purge_job(),
        redactions::job(&home),
        deletion::job(&home),
        deletion::restore::job(&home),
        deletion::purge::job(),
        reeve_media::bin::job(&media),
        purge::job(&home),
        reeve_retention::job(&server_name, &policy),
    ];
    media.probe().await.map_err(StartError::Media)?;
    if lock.is_some() {
        // The database is used exclusively, so no other process is writing an upload.
        media.give_up_former().await.map_err(StartError::Media)?;
    }
    let exports =
        Exports::new(db.clone(), config.clock.clone(), Arc::clone(&home), media.clone(), config.exports);
    if lock.is_some() {
        exports.release_former().await.map_err(StartError::Read)?;
    }
    let jobs = Jobs::new(db.clone(), config.clock.clone(), kinds);
    let seen = Seen::default();
    let metrics = Metrics::new();
    metrics.register(|registry| {
        db.metrics().register(registry);
        seen.register(registry);
        hasher.register(registry);
        jobs.register(registry);
        media.register(registry);
        push.register(registry);
        mails.register(registry);
        webhooks.register(registry);
        exports.register(registry);
    });
    let previews = config.previews.map(|wanted| {
        Previews::new(Arc::clone(&server_name), outgoing.clone(), media.clone(), config.clock.clone(), wanted)
    });
    let stop = watch::Sender::new(false);
    let app = Arc::new(App {
        base: Base {
            server_name,
            db,
            clock: config.clock,
            limiter: Limiter::new(config.rate_limits),
            http: config.http,
            metrics,
        },
        policy,
        hasher,
        seen,
        selections: Selections::default(),
        service_uses: ServiceUses::default(),
        jobs,
        media,
        home,
        notifier: Arc::default(),
        outgoing,
        previews,
        retention: config.retention,
        webhooks: webhooks.clone(),
        exports: exports.clone(),
        discovery: config.discovery,
        oauth: config.oauth,
        scim: config.scim,
        html,
        stop: stop.clone(),
    });
    let mut routes = routes();
    routes.extend(extra.into_iter().map(Arc::new));
    let service = Arc::new(Service::new(Arc::clone(&app), &routes));
    // Before anything takes a position; and last, so that a failed start begins no epoch.
    app.db.write(position::begin_epoch).await.map_err(StartError::Epoch)?;
    let mut tasks = vec![app.jobs.start()];
    tasks.push(tokio::spawn(sweep_media(Arc::clone(&app), stop.subscribe())));
    tasks.push(tokio::spawn(run_housekeeping(
        Arc::clone(&app),
        push.clone(),
        keep_batches_ms,
        stop.subscribe(),
    )));
    tasks.extend(push.start(&stop.subscribe()));
    tasks.push(mails.start(&stop.subscribe()));
    tasks.extend(webhooks.start(&stop.subscribe()));
    tasks.extend(exports.start(&stop.subscribe()));
    tasks.push(tokio::spawn(Arc::clone(&app.notifier).follow(app.db.clone(), stop.subscribe())));
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let listeners = listeners
        .into_iter()
        .map(|listener| {
            let serving = serve::serve(listener, Arc::clone(&service), app.http.clone(), stop.subscribe());
            tokio::spawn(serving)
        })
        .collect();
    Ok(Running { app, addresses, stop, listeners, tasks, _lock: lock })
}
