//! The program and its data after a kill.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use reeve_db::DatabaseUrl;
use reeve_test_postgres::{connect, create, drop_database, url_of};
use reeve_testkit::Engine;
use serde_json::json;
use tempfile::TempDir;

use crate::http::Client;

/// The name of the homeserver.
pub(crate) const SERVER_NAME: &str = "kill";
const ADMIN_PASSWORD: &str = "the administrator's";

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Where a server keeps what must survive it.
pub(crate) struct Site {
    folder: TempDir,
    /// The name of the database, on PostgreSQL.
    database: Option<String>,
}

impl Site {
    /// A place where no server was yet.
    pub(crate) fn new(engine: Engine) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let name = format!("reeve_kill_{}_{number}", std::process::id());
                create(&name);
                Some(name)
            }
        };
        Self { folder: TempDir::new().unwrap(), database }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Where uploads are kept.
    pub(crate) fn media_folder(&self) -> PathBuf {
        self.folder.path().join("reeve-data/media")
    }

    /// The database.
    pub(crate) fn database_url(&self) -> DatabaseUrl {
        match &self.database {
            None => DatabaseUrl::Sqlite(self.folder.path().join("reeve-data/reeve.db")),
            Some(name) => DatabaseUrl::Postgres(url_of(name)),
        }
    }

    /// The complaints of all servers here.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reeve"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs([
            ("REEVE_SERVER_NAME", SERVER_NAME),
            ("REEVE_LISTEN", "127.0.0.1:0"),
            ("REEVE_RATE_LIMITS__ENABLED", "false"),
            // Receivers are played by the tests.
            ("REEVE_OUTGOING__ALLOW_RANGES", "127.0.0.0/8"),
            // Hashing that costs nothing.
            ("REEVE_PASSWORD__MEMORY_KIB", "8"),
            ("REEVE_PASSWORD__ITERATIONS", "1"),
            ("REEVE_LOG__FILTER", "warn"),
        ]);
        if let Some(name) = &self.database {
            command.env("REEVE_DATABASE", url_of(name));
        }
        let log: File = OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        command
    }

    /// Starts a server and kills it before it can be ready, or soon after.
    pub(crate) fn start_and_kill(&self, after: Duration) {
        let mut child = self.command(&["serve"]).spawn().unwrap();
        sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn start(&self) -> Process {
        let killed_at = self.database.as_ref().map(|_| database_time());
        let mut child = self.command(&["serve"]).spawn().unwrap();
        let mut banner = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut banner).unwrap();
        let address = banner.split_once("http://").and_then(|(_, rest)| rest.split_once(';'));
        let Some((address, _)) = address else {
            drop(child.kill());
            panic!("the server does not start; it says {banner:?}, and in its log: {}", self.log());
        };
        let process = Process { child, address: address.parse().unwrap() };
        if let (Some(name), Some(killed_at)) = (&self.database, killed_at) {
            wait_for_orphans(name, killed_at);
        }
        process
    }

    /// Lets a server end by itself.
    pub(crate) fn stop(&self, mut process: Process) {
        let pid = process.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(process.child.wait().unwrap().success(), "{}", self.log());
    }

    /// Creates the administrator from the command line, once a server has made the database.
    pub(crate) fn create_admin(&self) {
        self.stop(self.start());
        let mut command = self.command(&["user", "create", "admin", "--admin", "--password-stdin"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(ADMIN_PASSWORD.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.log());
    }
}

/// The token of a new session of the administrator.
pub(crate) fn log_in_admin(address: SocketAddr) -> String {
    let identifier = json!({ "type": "m.id.user", "user": "admin" });
    let body = json!({ "type": "m.login.password", "identifier": identifier, "password": ADMIN_PASSWORD });
    let reply = Client::new(address, None).send("POST", "/_matrix/client/v3/login", &body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.text("access_token").to_owned()
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(name) = &self.database {
            drop_database(name);
        }
    }
}

/// A running server.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Ends it with SIGKILL.
    pub(crate) fn kill(mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the server was not to end by itself");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn database_time() -> f64 {
    connect().query_one("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).unwrap().get(0)
}

/// Waits until PostgreSQL has noticed that servers are gone: a commit that they sent may arrive until then.
fn wait_for_orphans(database: &str, killed_at: f64) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND extract(epoch FROM backend_start)::float8 < $2";
    let mut client = connect();
    for _ in 0..3000 {
        let orphans: i64 = client.query_one(sql, &[&database, &killed_at]).unwrap().get(0);
        if orphans == 0 {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("the connections of a dead server stay open");
}
