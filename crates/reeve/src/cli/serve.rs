//! `reeve serve`.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Failure, cannot_start, terminal};
use crate::{
    server::{self, Config},
    settings::{Log, LogFormat, Settings},
};

/// How long requests and jobs that are under way may take to end once the server is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn run(settings: Settings) -> Result<(), Failure> {
    start_log(&settings.log)?;
    server::allow_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(cannot_start)?;
    let result = runtime.block_on(serve(settings));
    // What is still running after a graceful stop, or beyond its time, is not waited for.
    runtime.shutdown_background();
    result
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    // Signals count from the first moment, so that a stop during the start is a graceful one too.
    let mut signals = Signals::new().map_err(cannot_start)?;
    let server_name = settings.server_name.clone();
    let running = server::start(Config::from_settings(&settings))
        .await
        .map_err(|error| Failure::new(error.to_string()))?;

    let urls = running.addresses().iter().map(|address| format!("http://{address}"));
    terminal::print(&format!(
        "Reeve {} serves {server_name} on {}; create an administrator with: reeve user create NAME --admin\n",
        env!("CARGO_PKG_VERSION"),
        urls.collect::<Vec<_>>().join(" and "),
    ))?;
    notify_service_manager(NotifyState::Ready);

    let name = signals.next().await;
    tracing::info!(signal = name, "stopping");
    notify_service_manager(NotifyState::Stopping);
    tokio::select! {
        stopped = tokio::time::timeout(STOP_TIMEOUT, running.stop()) => match stopped {
            Ok(()) => {
                tracing::info!("stopped");
                Ok(())
            }
            Err(_) => Err(Failure::new(format!("did not stop within {} seconds", STOP_TIMEOUT.as_secs()))),
        },
        name = signals.next() => Err(Failure::new(format!("stopped at once by a second {name}"))),
    }
}

/// The signals that end the program.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one and answers its name.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Tells systemd, if it started the server and wants to know.
fn notify_service_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}

fn start_log(log: &Log) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("the log cannot be started: {error}"));
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| failed(&error))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| failed(&error))
}
