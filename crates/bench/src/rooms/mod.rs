//! Rooms and clients: sending, waiting, initial syncs, leaving.

mod leaving;
mod push;
mod seed;
mod sending;
mod syncing;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use reeve::server::Config;
use reeve::settings::Settings;
use reeve_accounts::password::Hasher;
use reeve_model::clock::monotonic;

use crate::Fallible;
use crate::database::Place;
use crate::population::Population;
use crate::report::Report;
use crate::server::Server;

#[derive(Args)]
pub(crate) struct Rooms {
    /// `sqlite:FILE`, or the `postgres://…` URL of a server on which a database `reeve_bench` is created.
    #[arg(long, default_value = "sqlite:reeve-bench-data/bench.db")]
    database: String,
    /// Number of accounts besides those that are in rooms; at least 2,000.
    #[arg(long = "accounts", value_name = "NUMBER", default_value_t = 10_000)]
    number: usize,
    /// Keeps the database.
    #[arg(long)]
    keep: bool,
    /// The steps to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Step::Send, Step::Fanout, Step::Push, Step::Initial, Step::Polls, Step::Deactivate])]
    steps: Vec<Step>,
    /// Writes all results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Messages from many senders, each into a room of their own.
    Send,
    /// Messages into one large room where many clients wait for them.
    Fanout,
    /// Messages into a large room with and without push rules of the members.
    Push,
    /// Initial syncs of an account in many rooms.
    Initial,
    /// Many waiting clients.
    Polls,
    /// The deactivation of an account in very many rooms.
    Deactivate,
}

/// Runs the benchmark; returns true if no result is wrong or missed.
pub(crate) async fn run(rooms: Rooms) -> Fallible<bool> {
    if rooms.number < 2000 {
        return Err("at least 2000 accounts, please".into());
    }
    let place = tokio::task::spawn_blocking(move || Place::new(&rooms.database, rooms.keep)).await??;
    let place = Arc::new(place);
    let mut report = Report::default();
    let measured = measure(&place, rooms.number, &rooms.steps, &mut report).await;
    let cleared = tokio::task::spawn_blocking(move || place.clear()).await?;
    println!("\n{}", report.table());
    if let Some(file) = rooms.json {
        fs::write(file, format!("{:#}\n", report.json()))?;
    }
    measured?;
    cleared?;
    Ok(report.is_good())
}

async fn measure(place: &Arc<Place>, accounts: usize, steps: &[Step], report: &mut Report) -> Fallible<()> {
    let population = Arc::new(Population::new(accounts));
    let hash = Hasher::new(Config::from_settings(&Settings::default()).hashing)?;
    let hash = hash.hash(crate::seed::PASSWORD).await?;
    println!("seeding");
    crate::seed::seed(place, &population, hash, report).await?;
    let seeded = seed::seed(place, steps, report).await?;
    drop(population);
    // Each step has a new server, so that none is affected by memory that another left.
    if steps.contains(&Step::Send) {
        println!("sending");
        let (server, _) = Server::start(place).await?;
        sending::send(&server, &seeded.own, report).await?;
        server.stop()?;
    }
    if let Some(large) = &seeded.large {
        println!("sending into a large room");
        let (server, _) = Server::start(place).await?;
        sending::fan_out(&server, large, report).await?;
        server.stop()?;
    }
    if let Some(rooms) = &seeded.push {
        println!("deciding whom messages notify");
        let (server, _) = Server::start(place).await?;
        push::push(&server, rooms, report).await?;
        server.stop()?;
    }
    if steps.contains(&Step::Initial) {
        println!("looking at everything");
        let (server, _) = Server::start(place).await?;
        syncing::initial(&server, report).await?;
        server.stop()?;
    }
    if steps.contains(&Step::Polls) {
        println!("waiting");
        let (server, _) = Server::start(place).await?;
        syncing::polls(&server, &seeded.quiet, report).await?;
        server.stop()?;
    }
    if steps.contains(&Step::Deactivate) {
        println!("leaving");
        let (server, _) = Server::start(place).await?;
        leaving::deactivate(&server, report).await?;
        server.stop()?;
    }
    Ok(())
}

/// The text between a marker and the next quote.
fn quoted<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    text.split_once(marker)?.1.split('"').next()
}

/// Waits until a count is stable for some time; returns the time until then.
async fn until_quiet(count: &AtomicU64, quiet: Duration, most: Duration) -> Fallible<Duration> {
    let start = monotonic();
    let (mut last, mut since) = (count.load(Ordering::Relaxed), start.elapsed());
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (now, elapsed) = (count.load(Ordering::Relaxed), start.elapsed());
        if now != last {
            (last, since) = (now, elapsed);
        } else if elapsed.saturating_sub(since) >= quiet {
            return Ok(since);
        }
        if elapsed > most {
            return Err("those who wait are never left in peace".into());
        }
    }
}
