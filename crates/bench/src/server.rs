//! The server under test: this program again, as a separate process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reeve::server::{Config, allow_many_files, start_with};
use reeve::settings::{Flags, load};
use reeve_app::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_model::clock::monotonic;

use crate::Fallible;
use crate::database::Place;
use crate::http::Connection;
use crate::population::SERVER_NAME;

/// The largest body of the empty handler, in bytes.
const MAX: usize = 1 << 20;

/// Maximum size of an upload, in bytes.
const MAX_UPLOAD: i64 = 2 << 30;

/// The unit of processor times, which Linux has fixed for all programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// The path of the emptiest handler, for a body of a size, with any of its methods.
pub(crate) fn empty_path(size: usize) -> String {
    format!("/_bench/empty/{size}")
}

/// The emptiest handler: it returns a constant body of the given size.
fn empty() -> Vec<Route> {
    const PATH: &str = "/_bench/empty/{n}";
    async fn handle(call: Call) -> Answer {
        let size: usize = call.params.get("n").parse().map_err(|_| MatrixError::unknown("not a size"))?;
        // A JSON string with its two quotes.
        reply::ok(&"x".repeat(size.min(MAX).saturating_sub(2)))
    }
    let routes = [Route::get(PATH, handle), Route::put(PATH, handle), Route::post(PATH, handle)];
    routes.map(|route| route.access(Access::Anybody)).into()
}

/// Runs the server with default settings until its standard input ends. Only the rate limits are off, and the
/// maximum size of uploads is larger.
pub(crate) async fn run(database: String, listen: String, data_dir: String) -> Fallible<()> {
    let flags = Flags {
        server_name: Some(SERVER_NAME.to_owned()),
        listen: vec![listen],
        database: Some(database),
        data_dir: Some(data_dir),
        ..Flags::default()
    };
    let environment: [(OsString, OsString); 2] = [
        ("REEVE_RATE_LIMITS__ENABLED".into(), "false".into()),
        ("REEVE_MEDIA__MAX_UPLOAD_BYTES".into(), MAX_UPLOAD.to_string().into()),
    ];
    let loaded = load(&flags, environment)?;
    let filter = tracing_subscriber::EnvFilter::try_new(&loaded.settings.log.filter)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).init();
    allow_many_files();
    let mut config = Config::from_settings(&loaded.settings);
    // The user must not run two benchmarks in one folder.
    config.locked_dir = None;
    let running = start_with(config, empty()).await?;
    tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
    running.stop().await;
    Ok(())
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it; also returns the time until the first successful response.
    pub(crate) async fn start(place: &Place) -> Fallible<(Self, Duration)> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let begin = monotonic();
        let child = Command::new(std::env::current_exe()?)
            .args(["server", "--database", &place.argument(), "--listen", &address.to_string()])
            .arg("--data-dir")
            .arg(place.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(place.log())?)
            .spawn()?;
        let mut server = Self { child, address };
        loop {
            if let Ok(mut connection) = Connection::open(address, "").await
                && connection.get("/health").await.is_ok_and(|reply| reply.status == 200)
            {
                return Ok((server, begin.elapsed()));
            }
            if server.child.try_wait()?.is_some() || begin.elapsed() > Duration::from_mins(1) {
                return Err(format!("the server does not start: {}", last_line(&place.log())).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops it gracefully.
    pub(crate) fn stop(mut self) -> Fallible<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }

    /// Resident memory, in MB (10^6 bytes).
    pub(crate) fn resident_mb(&self) -> Fallible<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).ok_or("no VmRSS")?;
        Ok(kib * 1024.0 / 1e6)
    }
}

impl Server {
    /// Its processor time, in seconds.
    pub(crate) fn cpu(&self) -> Fallible<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program is in brackets and may contain anything.
        let fields: Vec<&str> = stat.rsplit(')').next().ok_or("no stat")?.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
        Ok((ticks(11).ok_or("no utime")? + ticks(12).ok_or("no stime")?) / TICKS_PER_SECOND)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_line(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    log.lines().last().unwrap_or_default().to_owned()
}
