//! Several servers with the same API, measured in turn over HTTP alone, beside an upper limit for any server.

mod chart;
mod driver;
mod measure;
mod process;
mod results;
mod stage;
mod target;
mod workload;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Args;
use reeve_model::Clock;
use serde_json::Value;

use self::measure::{Lane, Sample};
use self::results::{About, Figures, LIMIT, Results, Row};
use self::stage::{Names, Stage};
use self::target::{Aim, Target};
use self::workload::Workload;
use crate::Fallible;
use crate::database::Place;
use crate::server::{self, Server};

/// A workload that took longer than this in one round, in seconds, is not measured again.
const LONG: f64 = 30.0;

#[derive(Args)]
pub(crate) struct Race {
    /// A server and the token of an administrator, NAME=http://ADDRESS:PORT,TOKEN; several times. The others
    /// are compared with the first.
    #[arg(long = "target", value_name = "NAME=URL,TOKEN", required = true)]
    targets: Vec<Aim>,
    /// Only workloads whose names begin with one of these.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    workloads: Vec<String>,
    /// The numbers of connections.
    #[arg(long, value_name = "NUMBER,…", value_delimiter = ',', default_values_t = [1, 32])]
    connections: Vec<usize>,
    /// The number of rounds.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    rounds: usize,
    /// The duration of each measurement.
    #[arg(long, value_name = "NUMBER", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Programs whose processor time and memory count for a server, too; such as synapse=postgres.
    #[arg(long, value_name = "TARGET=NAME")]
    also_count: Vec<String>,
    /// The SQLite database of the first server, if that is a Reeve, sqlite:FILE: also read by the driver alone.
    #[arg(long, value_name = "URL")]
    rows: Option<String>,
    /// Writes all results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws the requests a second.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Chart {
    /// The JSON files of races of several sizes.
    #[arg(long, value_name = "FILE", required = true)]
    json: Vec<PathBuf>,
    /// Draws the growth from the fewest to the most accounts.
    #[arg(long, value_name = "FILE")]
    svg: PathBuf,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|_| "not a number")?;
    if (0.01..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("from 0.01 to 3600".to_owned()) }
}

/// Compares races of several sizes.
pub(crate) fn chart(arguments: &Chart) -> Fallible<()> {
    let races: Fallible<Vec<Results>> =
        arguments.json.iter().map(|file| Ok(serde_json::from_slice(&fs::read(file)?)?)).collect();
    let growth = results::growth(&races?);
    println!("{}", results::growth_table(&growth));
    chart::growth(&growth, &arguments.svg)
}

/// Runs a race; returns true if all servers completed everything without errors and agree.
pub(crate) async fn run(race: Race) -> Fallible<bool> {
    let all = workload::all();
    if let Some(unknown) =
        race.workloads.iter().find(|name| !all.iter().any(|workload| workload.name.starts_with(*name)))
    {
        let names: Vec<&str> = all.iter().map(|workload| &*workload.name).collect();
        return Err(format!("no workload begins with {unknown:?}; there are: {}", names.join(", ")).into());
    }
    let wanted = |workload: &Workload| {
        race.workloads.is_empty() || race.workloads.iter().any(|name| workload.name.starts_with(name))
    };
    let workloads: Vec<Workload> = all.into_iter().filter(wanted).collect();
    let folder = std::env::temp_dir().join(format!("reeve-race-{}", std::process::id()));
    let place = Place::new(&format!("sqlite:{}", folder.join("limit.db").display()), false)?;
    let (limit, _) = Server::start(&place).await?;
    let measured = measure(&race, &workloads, &limit).await;
    let stopped = limit.stop();
    let cleared = place.clear();
    let results = measured?;
    stopped?;
    cleared?;
    println!("{}", results.tables());
    if let Some(file) = &race.json {
        fs::write(file, format!("{:#}\n", serde_json::to_value(&results)?))?;
    }
    if let Some(file) = &race.svg {
        chart::rates(&results, file)?;
    }
    Ok(results.is_good())
}

/// A workload with all of its measurements.
struct Entry<'a> {
    workload: &'a Workload,
    /// The servers on which it works and the limit, by position.
    lanes: Vec<Option<Lane>>,
    wrong: Option<String>,
    /// By number of connections, then by position.
    samples: Vec<Vec<Vec<Sample>>>,
}

async fn measure(race: &Race, workloads: &[Workload], limit: &Server) -> Fallible<Results> {
    let clock = Clock::System;
    let began_ts = clock.now().get();
    let mut targets = Vec::new();
    for aim in &race.targets {
        let also = race.also_count.iter().filter_map(|also| also.split_once('='));
        let also = also.filter(|(name, _)| *name == aim.name).map(|(_, program)| program.to_owned()).next();
        targets.push(Arc::new(Target::find(aim, also).await?));
    }
    let first = targets.first().ok_or("there is no server")?;
    let names = Names::learn(first).await?;
    let prefix = format!("zrace{:x}", began_ts / 1000);
    let connections = race.connections.iter().copied().max().unwrap_or(1);
    let mut stages = Vec::new();
    for target in &targets {
        stages.push(Arc::new(Stage::set(target, &prefix, &names, connections).await?));
    }
    let driver = match &race.rows {
        Some(database) => driver::run(database, &names)?,
        None => Vec::new(),
    };
    targets.push(Arc::new(Target::unknown(LIMIT, limit.address, "", None)));

    let mut entries = Vec::new();
    // Workloads that do not grow the data come first, in all rounds. Those that do are not even tried before:
    // one message more would change the responses of the others.
    for grows in [false, true] {
        let mut tried = Vec::new();
        for workload in workloads.iter().filter(|workload| workload.grows == grows) {
            tried.push(Entry::new(workload, &targets, &stages, race.connections.len()).await);
        }
        for round in 1..=race.rounds {
            for entry in &mut tried {
                entry.round(round, race).await?;
            }
        }
        entries.append(&mut tried);
    }
    let about = targets.iter().map(|target| About {
        name: target.name.clone(),
        version: target.version.clone(),
        peak_mb: target.taken().map(|taken| taken.peak_mb),
    });
    Ok(Results {
        began_ts,
        cores: available_parallelism()?.get(),
        accounts: names.all,
        targets: about.collect(),
        rows: entries.into_iter().flat_map(|entry| entry.rows(&race.connections)).collect(),
        driver,
    })
}

impl<'a> Entry<'a> {
    /// Sends one request to each server, to check that the workload works and the servers agree.
    async fn new(
        workload: &'a Workload,
        targets: &[Arc<Target>],
        stages: &[Arc<Stage>],
        connections: usize,
    ) -> Self {
        eprintln!("trying {}", workload.name);
        let (mut lanes, mut said, mut size, mut wrong) = (Vec::new(), None::<(&String, Value)>, 0, None);
        for (target, stage) in targets.iter().zip(stages) {
            let lane = Lane {
                target: Arc::clone(target),
                stage: Arc::clone(stage),
                instead: None,
                next: Arc::new(AtomicUsize::new(0)),
            };
            match lane.try_once(workload).await {
                Ok((essence, bytes)) => {
                    if let Some((name, other)) = &said {
                        if *other != essence {
                            wrong.get_or_insert(format!(
                                "{name} says {other}, {} says {essence}",
                                target.name
                            ));
                        }
                    } else {
                        (said, size) = (Some((&target.name, essence)), bytes);
                    }
                    lanes.push(Some(lane));
                }
                Err(error) => {
                    wrong.get_or_insert(format!("{}: {error}", target.name));
                    lanes.push(None);
                }
            }
        }
        // The limit returns as many bytes as the first server.
        let limit = targets.last().zip(stages.first()).map(|(limit, stage)| Lane {
            target: Arc::clone(limit),
            stage: Arc::clone(stage),
            instead: Some(server::empty_path(size)),
            next: Arc::new(AtomicUsize::new(0)),
        });
        lanes.push(limit);
        if let Some(wrong) = &wrong {
            eprintln!("WRONG: {wrong}");
        }
        let samples =
            (0..connections).map(|_| lanes.iter().map(|_| Vec::new()).collect::<Vec<_>>()).collect();
        Self { workload, lanes, wrong, samples }
    }

    async fn round(&mut self, round: usize, race: &Race) -> Fallible<()> {
        let duration = Duration::from_secs_f64(race.seconds);
        for (connections, samples) in race.connections.iter().zip(&mut self.samples) {
            for (lane, samples) in self.lanes.iter().zip(samples) {
                let Some(lane) = lane else { continue };
                // Then one round is sufficient, and another would take as long again.
                if samples.last().is_some_and(|sample| sample.seconds > LONG) {
                    continue;
                }
                let sample = lane.measure(self.workload, *connections, duration).await?;
                eprintln!(
                    "round {round} of {}: {}, {connections} connections, {}: {}/s{}",
                    race.rounds,
                    self.workload.name,
                    lane.target.name,
                    results::short(sample.per_second),
                    sample.error.as_ref().map_or(String::new(), |error| format!(", ERROR {error}")),
                );
                samples.push(sample);
            }
        }
        Ok(())
    }

    fn rows(self, connections: &[usize]) -> Vec<Row> {
        let Self { workload, wrong, samples, .. } = self;
        let of_all = connections.iter().zip(samples);
        let rows = of_all.map(|(connections, samples)| Row {
            workload: workload.name.clone(),
            title: workload.title.clone(),
            kind: workload.kind,
            connections: *connections,
            figures: samples
                .into_iter()
                .map(|samples| (!samples.is_empty()).then(|| Figures::of(samples)))
                .collect(),
            wrong: wrong.clone(),
        });
        rows.collect()
    }
}
