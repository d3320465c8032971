//! A running server.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reeve::server::{Config, Running, start};
use reeve_accounts::policy::{HashingCost, PasswordRules, Policy};
use reeve_accounts::users::{self, NewUser};
use reeve_app::limits::RateLimits;
use reeve_app::{App, Discovery, HtmlSettings, HttpSettings, ScimSettings};
use reeve_db::{Engine, Options};
use reeve_media::StoreSettings;
use reeve_model::{Clock, Ctx, Millis};
use serde_json::json;

use crate::browser::Browser;
use crate::client::Client;
use crate::database::{Copy, Database};

/// The initial time of a test's clock.
pub const START_MS: i64 = 1_700_000_000_000;
/// The same as a time.
pub const START: Millis = Millis::new(START_MS);

/// A server named `test`, with rate limits off, passwords that are cheap to hash, and a clock that stands still.
pub struct Server {
    /// The clock of the server.
    pub clock: Clock,
    running: Option<Running>,
    config: Config,
    engine: Engine,
    // Dropped last.
    database: Arc<Database>,
}

/// A copy of a server's database.
pub struct Backup(Arc<Copy>);

impl Server {
    /// Runs one test against a fresh server, or skips it if it needs PostgreSQL and there is none.
    pub fn run<Fut: Future<Output = ()>>(
        engine: Engine,
        change: fn(&mut Config),
        test: impl FnOnce(Self) -> Fut,
    ) {
        match engine {
            Engine::Postgres if !reeve_test_postgres::available() => return,
            Engine::Sqlite | Engine::Postgres => {}
        }
        let database = Arc::new(Database::new(engine));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let clock = Clock::manual(START);
            let mut config = config(&database, &clock);
            change(&mut config);
            let running = start(config.clone()).await.expect("the server starts");
            test(Self { clock, running: Some(running), config, engine, database: Arc::clone(&database) })
                .await;
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(database);
    }

    /// The engine that it runs on.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The state that handlers work with.
    pub fn app(&self) -> &Arc<App> {
        &self.running().app
    }

    /// The folder of uploads, unless the configuration was changed.
    pub fn media_folder(&self) -> PathBuf {
        self.database.folder().join("media")
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.running().address()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    /// Stops it and starts it again on the same database, optionally with other settings. The port changes.
    pub async fn restart(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.stop().await;
        self.running = Some(start(self.config.clone()).await.expect("the server starts again"));
    }

    /// Copies its database, as an operator would. On PostgreSQL the server is stopped meanwhile, and its port
    /// changes.
    pub async fn backup(&mut self) -> Backup {
        if self.engine == Engine::Postgres {
            self.stop().await;
        }
        let database = Arc::clone(&self.database);
        let copy = tokio::task::spawn_blocking(move || database.copy()).await.expect("the copy is made");
        if self.running.is_none() {
            self.restart(|_| ()).await;
        }
        Backup(Arc::new(copy))
    }

    /// Stops it, replaces its database by a backup, and starts it again. The port changes.
    pub async fn restore(&mut self, backup: &Backup) {
        self.stop().await;
        let (database, copy) = (Arc::clone(&self.database), Arc::clone(&backup.0));
        tokio::task::spawn_blocking(move || database.restore(&copy)).await.expect("the copy is put back");
        self.restart(|_| ()).await;
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Another process on the same database, which is not SQLite, with the same clock.
    pub async fn beside(&self) -> Self {
        Self {
            clock: self.clock.clone(),
            running: Some(start(self.config.clone()).await.expect("the server starts beside the other one")),
            config: self.config.clone(),
            engine: self.engine,
            database: Arc::clone(&self.database),
        }
    }

    /// A client without a token.
    pub fn stranger(&self) -> Client {
        Client::new(self.address(), None)
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        Browser::new(self.stranger())
    }

    /// A browser with the cookies of another one, at the current port of the server.
    pub fn again_in(&self, browser: &Browser) -> Browser {
        browser.at(self.again(browser.client()))
    }

    /// A browser in which an account signed in that [`Server::user`] or [`Server::create`] made.
    pub async fn signed_in(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let reply = browser.sign_in(name, &format!("{name}'s password")).await;
        assert_eq!(reply.status, 303, "sign-in of {name}: {}", reply.html());
        browser
    }

    /// A client with this token.
    pub fn with_token(&self, token: &str) -> Client {
        Client::new(self.address(), Some(token.to_owned()))
    }

    /// A client of this server, or of one on the same database, at its current port.
    pub fn again(&self, client: &Client) -> Client {
        let mut again = Client::new(self.address(), client.token.clone());
        again.user_id.clone_from(&client.user_id);
        again.device_id.clone_from(&client.device_id);
        again
    }

    /// Creates the account `@admin:test`, an administrator with the password `admin's password`, and logs in.
    pub async fn admin(&self) -> Client {
        self.create("admin", true).await;
        self.log_in("admin", "admin's password").await
    }

    /// Creates an account with the password `NAME's password`, and logs in.
    pub async fn user(&self, name: &str) -> Client {
        self.create(name, false).await;
        self.log_in(name, &format!("{name}'s password")).await
    }

    /// Creates an account with the password `NAME's password`, without logging in.
    pub async fn create(&self, name: &str, admin: bool) {
        let app = self.app();
        let hash = app.hasher.hash(&format!("{name}'s password")).await.expect("a hash");
        let new = NewUser {
            localpart: name.to_owned(),
            displayname: Some(name.to_owned()),
            password_hash: Some(hash),
            admin,
            ..NewUser::default()
        };
        let ctx = Ctx::system(&self.clock, &app.server_name, "test");
        let policy = Policy::default();
        let created = app.db.write(move |tx| users::create(tx, &ctx, &policy, &new)).await;
        created.expect("the account is created");
    }

    /// Logs in with a password, on a new device.
    pub async fn log_in(&self, name: &str, password: &str) -> Client {
        let body = json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": name },
            "password": password,
        });
        let reply = self.stranger().post("/_matrix/client/v3/login", body).await;
        assert_eq!(reply.status, 200, "login of {name}: {}", reply.body);
        let text =
            |key: &str| reply.body.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let mut client = self.with_token(&text("access_token"));
        client.user_id = text("user_id");
        client.device_id = text("device_id");
        client
    }
}

fn config(database: &Database, clock: &Clock) -> Config {
    Config {
        server_name: "test".to_owned(),
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        locked_dir: match database {
            Database::Sqlite(folder) => Some(folder.path().to_owned()),
            Database::Postgres(..) => None,
        },
        database: database.url(),
        database_options: Options { readers: 2, connections: 3, ..Options::default() },
        // Tests choose passwords that say what they are for.
        policy: Policy {
            password_rules: PasswordRules { min_length: 0, ..PasswordRules::default() },
            ..Policy::default()
        },
        hashing: HashingCost {
            pepper: String::new(),
            memory_kib: 16,
            iterations: 1,
            workers: 1,
            wait: Duration::from_secs(10),
        },
        http: HttpSettings::default(),
        discovery: Discovery::default(),
        media: reeve_media::Settings::new(StoreSettings::Folder(database.folder().join("media"))),
        rooms: reeve_rooms::Settings::default(),
        allowed_ranges: Vec::new(),
        mail: None,
        retention: reeve_retention::Settings::default(),
        exports: reeve_export::Settings::default(),
        keep_batches_ms: 90 * 24 * 3600 * 1000,
        previews: None,
        push: reeve_push::Settings::default(),
        webhooks: reeve_webhooks::Settings::default(),
        scim: ScimSettings::default(),
        html: HtmlSettings::default(),
        rate_limits: RateLimits { enabled: false, ..RateLimits::default() },
        clock: clock.clone(),
    }
}
