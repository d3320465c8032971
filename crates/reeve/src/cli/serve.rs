//! `reeve serve`.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use super::{Failure, cannot_start, terminal};
use crate::{
    server::{self, Config, Running, readable_by_others},
    settings::{Loaded, Log, LogFormat, log_filter},
};

/// Maximum time for requests and jobs in progress to end after a stop signal.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// `load` reads the settings again.
pub(super) fn run(loaded: Loaded, load: impl Fn() -> Result<Loaded, Failure>) -> Result<(), Failure> {
    let filter = start_log(&loaded.settings.log)?;
    server::allow_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(cannot_start)?;
    let result = runtime.block_on(serve(loaded, load, filter));
    // Work that is still running after a graceful stop, or beyond its time, is not awaited.
    runtime.shutdown_background();
    result
}

async fn serve(
    loaded: Loaded,
    load: impl Fn() -> Result<Loaded, Failure>,
    filter: LogFilter,
) -> Result<(), Failure> {
    // Signals are handled from the first moment, so that a stop during the start is graceful, too.
    let mut signals = Signals::new().map_err(cannot_start)?;
    let mut hangups = signal(SignalKind::hangup()).map_err(cannot_start)?;
    let server_name = loaded.settings.server_name.clone();
    let config = Config::from_settings(&loaded.settings);
    let secrets = loaded.files_with_secrets();
    if config.policy.registration_enabled && !config.policy.registration_requires_token {
        tracing::warn!("registration is open to everybody: registration.without_verification is set");
    }
    let running = server::start(config.clone()).await?;
    for path in readable_by_others(&config, &secrets) {
        let path = path.display();
        tracing::warn!(%path, "every user of this machine can read this file: chmod o-rwx");
    }

    let urls = running.addresses().iter().map(|address| format!("http://{address}"));
    terminal::print(&format!(
        "Reeve {} serves {server_name} on {}; create an administrator with: reeve user create NAME --admin\n",
        env!("CARGO_PKG_VERSION"),
        urls.collect::<Vec<_>>().join(" and "),
    ))?;
    notify_service_manager(&[NotifyState::Ready]);

    let mut reloader = Reloader { loaded, filter };
    let name = loop {
        tokio::select! {
            name = signals.next() => break name,
            _ = hangups.recv() => {
                notify_service_manager(&reloading());
                match load() {
                    Ok(loaded) => reloader.reload(loaded, &running),
                    Err(Failure(lines)) => {
                        for problem in lines {
                            tracing::error!(%problem, "the settings are invalid and were not changed");
                        }
                    }
                }
                notify_service_manager(&[NotifyState::Ready]);
            }
        }
    };
    tracing::info!(signal = name, "stopping");
    notify_service_manager(&[NotifyState::Stopping]);
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

    /// Waits for a signal and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Notifies systemd, if it started the server and requested that.
fn notify_service_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}

/// The state while settings are read again; the time is for units of the type `notify-reload`.
fn reloading() -> Vec<NotifyState<'static>> {
    [Some(NotifyState::Reloading), NotifyState::monotonic_usec_now().ok()].into_iter().flatten().collect()
}

/// A handle to the filter of the log.
type LogFilter = reload::Handle<EnvFilter, Registry>;

fn start_log(log: &Log) -> Result<LogFilter, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("the log cannot be started: {error}"));
    let (filter, handle) = reload::Layer::new(log_filter(&log.filter).map_err(|error| failed(&error))?);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|error| failed(&error))?;
    Ok(handle)
}

/// Applies settings that changed while the server runs.
struct Reloader {
    /// The current settings, except those that need a restart.
    loaded: Loaded,
    filter: LogFilter,
}

impl Reloader {
    /// Applies the settings that can change at run time: the filter of the log and the rate limits.
    fn reload(&mut self, loaded: Loaded, running: &Running) {
        let changed = loaded.changed(&self.loaded.settings);
        let (now, later): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|key| key == "log.filter" || key.starts_with("rate_limits."));
        let filter = log_filter(&loaded.settings.log.filter);
        if let Err(error) =
            filter.and_then(|filter| self.filter.reload(filter).map_err(|error| error.to_string()))
        {
            tracing::error!(%error, "log.filter cannot be changed");
        }
        running.app.limiter.set_limits(Config::from_settings(&loaded.settings).rate_limits);
        tracing::info!(changed = now.join(", "), "read the settings again");
        if !later.is_empty() {
            tracing::warn!(changed = later.join(", "), "changes that need a restart");
        }
        self.loaded.settings.log.filter = loaded.settings.log.filter;
        self.loaded.settings.rate_limits = loaded.settings.rate_limits;
    }
}
