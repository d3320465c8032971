//! The benchmark of Reeve: seeds accounts and rooms, starts the server, and measures it over HTTP. See
//! `docs/benchmarks.md`.

mod batches;
mod database;
mod fuzz;
mod http;
mod idle;
mod keys;
mod lists;
mod load;
mod media;
mod population;
mod race;
mod report;
mod rooms;
mod seed;
mod selections;
mod server;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use reeve::server::Config;
use reeve::settings::Settings;
use reeve_accounts::password::Hasher;

use crate::database::Place;
use crate::http::Connection;
use crate::population::Population;
use crate::report::{Report, below};
use crate::server::Server;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Number of measured starts of the server.
const STARTS: usize = 5;

#[derive(Parser)]
#[command(name = "reeve-bench", about = "Measures Reeve")]
struct Arguments {
    #[command(subcommand)]
    command: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Many accounts: lists, reads, creations, logins.
    Accounts(Accounts),
    /// Rooms: sending, synchronising, waiting, leaving.
    Rooms(rooms::Rooms),
    /// Uploads: lists, large files, many readers, deleting.
    Media(media::Media),
    /// Damaged pictures and web pages, without a server: thumbnails and previews must neither panic nor leak
    /// memory.
    Fuzz(fuzz::Fuzz),
    /// Keys of devices, and to-device messages.
    Keys(keys::Keys),
    /// Several servers with the same API, in turn, beside an upper limit.
    Race(race::Race),
    /// The growth of the medians of several races with the number of accounts.
    Chart(race::Chart),
    /// Writes a file of accounts for `reeve import accounts --server-name bench.example`.
    AccountsFile {
        /// The file.
        file: PathBuf,
        /// Number of accounts.
        #[arg(long = "accounts", value_name = "NUMBER", default_value_t = 1_000_000)]
        number: usize,
    },
    /// The server under test; started by the benchmark itself.
    #[command(hide = true)]
    Server {
        #[arg(long)]
        database: String,
        #[arg(long)]
        listen: String,
        #[arg(long)]
        data_dir: String,
    },
}

#[derive(Args)]
struct Accounts {
    /// `sqlite:FILE`, or the `postgres://…` URL of a server on which a database `reeve_bench` is created.
    #[arg(long, default_value = "sqlite:reeve-bench-data/bench.db")]
    database: String,
    /// Number of seeded accounts; at least 2,000.
    #[arg(long = "accounts", value_name = "NUMBER", default_value_t = 1_000_000)]
    number: usize,
    /// Keeps the database; a later run without creations, logins and batches in between reuses it.
    #[arg(long)]
    keep: bool,
    /// The steps to measure besides seeding and starting.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Step::Lists, Step::Selections, Step::One, Step::Idle, Step::Create, Step::Storm, Step::Batches])]
    steps: Vec<Step>,
    /// Writes all results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Pages of the list of accounts.
    Lists,
    /// Selections of accounts by every filter.
    Selections,
    /// Reading one account by id.
    One,
    /// Idle connections.
    Idle,
    /// Creating accounts.
    Create,
    /// The list during logins.
    Storm,
    /// An act on many accounts.
    Batches,
}

fn main() -> ExitCode {
    let done = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Into::into).and_then(
        |runtime| {
            runtime.block_on(async {
                match Arguments::parse().command {
                    Benchmark::Accounts(accounts) => run(accounts).await,
                    Benchmark::Rooms(rooms) => rooms::run(rooms).await,
                    Benchmark::Fuzz(fuzz) => fuzz::run(&fuzz),
                    Benchmark::Keys(keys) => keys::run(keys).await,
                    Benchmark::AccountsFile { file, number } => {
                        seed::write_file(&file, number.max(2)).await.map(|()| true)
                    }
                    Benchmark::Race(race) => race::run(race).await,
                    Benchmark::Chart(chart) => race::chart(&chart).map(|()| true),
                    Benchmark::Media(media) => media::run(media).await,
                    Benchmark::Server { database, listen, data_dir } => {
                        server::run(database, listen, data_dir).await.map(|()| true)
                    }
                }
            })
        },
    );
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("reeve-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the benchmark; returns true if no result is wrong or missed.
async fn run(accounts: Accounts) -> Fallible<bool> {
    if accounts.number < 2000 {
        return Err("at least 2000 accounts, please".into());
    }
    let place = tokio::task::spawn_blocking(move || Place::new(&accounts.database, accounts.keep)).await??;
    let place = Arc::new(place);
    let mut report = Report::default();
    let measured = measure(&place, accounts.number, &accounts.steps, &mut report).await;
    let cleared = tokio::task::spawn_blocking(move || place.clear()).await?;
    println!("\n{}", report.table());
    if let Some(file) = accounts.json {
        fs::write(file, format!("{:#}\n", report.json()))?;
    }
    measured?;
    cleared?;
    Ok(report.is_good())
}

async fn measure(place: &Arc<Place>, accounts: usize, steps: &[Step], report: &mut Report) -> Fallible<()> {
    println!("making up {accounts} accounts");
    let population = Arc::new(Population::new(accounts));
    let hash = Hasher::new(Config::from_settings(&Settings::default()).hashing)?.hash(seed::PASSWORD).await?;
    println!("seeding");
    seed::seed(place, &population, hash, report).await?;

    println!("starting");
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        let (server, took) = Server::start(place).await?;
        starts.push(took);
        server.stop()?;
    }
    let (server, took) = Server::start(place).await?;
    starts.push(took);
    starts.sort();
    let slowest = starts.last().map_or(0.0, Duration::as_secs_f64) * 1000.0;
    report.row(
        format!("Start until the first answer, slowest of {STARTS}"),
        format!("{slowest:.0} ms"),
        "< 200 ms",
        below(slowest, 200.0),
    );
    report.info("Resident memory after the start", format!("{:.0} MB", server.resident_mb()?));

    let mut connection = Connection::open(server.address, seed::TOKEN).await?;
    if steps.contains(&Step::Lists) {
        lists::run(&population, &mut connection, report).await?;
        let resident = server.resident_mb()?;
        report.row(
            "Resident memory after the lists",
            format!("{resident:.0} MB"),
            "< 150 MB",
            below(resident, 150.0),
        );
    }
    if steps.contains(&Step::Selections) {
        selections::run(&population, &mut connection, report).await?;
        report.info("Resident memory after the selections", format!("{:.0} MB", server.resident_mb()?));
    }
    let middle = seed::middle(&population);
    drop(population);
    if steps.contains(&Step::One) {
        println!("one account by id");
        load::read_one(server.address, &middle, report).await?;
    }
    if steps.contains(&Step::Idle) {
        idle::run(&server, report).await?;
    }
    if steps.contains(&Step::Create) {
        println!("creating accounts");
        load::create(server.address, report).await?;
    }
    if steps.contains(&Step::Storm) {
        println!("logging in");
        load::storm(server.address, report).await?;
    }
    if steps.contains(&Step::Batches) {
        println!("acting on many accounts");
        batches::run(server.address, report).await?;
    }
    report.info("Resident memory at the end", format!("{:.0} MB", server.resident_mb()?));
    server.stop()
}
