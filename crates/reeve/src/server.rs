//! Puts the server together, starts it and stops it.

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

use reeve_accounts::accents;
use reeve_accounts::import;
use reeve_accounts::password::Hasher;
use reeve_accounts::seen::Seen;
use reeve_db::{Db, DbError, OpenError};
use reeve_http::app::App;
use reeve_http::limits::Limiter;
use reeve_http::metrics::Metrics;
use reeve_http::service::Service;
use reeve_http::{Route, openapi, serve};
use reeve_jobs::Jobs;
use reeve_media::Library;
use reeve_model::id;
use reeve_outgoing::{Filter, Mailer, Outgoing};
use reeve_previews::Previews;
use reeve_push::Push;
use reeve_rooms::push::{KeptRules, names};
use reeve_rooms::{Home, SigningKey, deletion, people, position, purge, redactions, words};
use reeve_store::user_bulk;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::config::Config;
pub(crate) use self::exposed::readable_by_others;
use self::housekeeping::{keep_house, sweep_media};

/// How many files, and so connections, may be open, as far as the system allows.
const MOST_FILES: u64 = 1 << 20;
/// How long a stopping server sweeps the media store.
const LAST_SWEEP: Duration = Duration::from_secs(5);
/// How the server calls itself in requests that it makes.
const USER_AGENT: &str = concat!("Reeve/", env!("CARGO_PKG_VERSION"));

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
    /// The stream cannot be continued.
    #[error("cannot begin an epoch of the stream: {0}")]
    Epoch(DbError),
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
fn make_private_folder(folder: &Path) -> io::Result<()> {
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
    let path = folder.join("reeve.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(data_folder)?;
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
    let key = SigningKey::load(&db, config.clock.now()).await.map_err(StartError::Read)?;
    let outgoing =
        Outgoing::new(Filter::new(config.allowed_ranges), USER_AGENT).map_err(StartError::Outgoing)?;
    let server_name: Arc<str> = Arc::from(config.server_name);
    let home = Arc::new(Home {
        server_name: Arc::clone(&server_name),
        key,
        settings: config.rooms,
        limits: config.policy.limits,
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
        words::job(),
        names::job(),
        accents::job(),
    ];
    let media = Library::open(config.media, db.clone(), config.clock.clone()).map_err(StartError::Media)?;
    media.probe().await.map_err(StartError::Media)?;
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
    // Before anything takes a position; and last, so that a start that fails begins none.
    app.db.write(position::begin_epoch).await.map_err(StartError::Epoch)?;
    let mut tasks = app.jobs.start();
    tasks.push(tokio::spawn(sweep_media(Arc::clone(&app), stop.subscribe())));
    tasks.push(tokio::spawn(keep_house(Arc::clone(&app), push.clone(), stop.subscribe())));
    tasks.extend(push.start(app.hub.followed(), &stop.subscribe()));
    tasks.push(tokio::spawn(Arc::clone(&app.hub).follow(app.db.clone(), stop.subscribe())));
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
