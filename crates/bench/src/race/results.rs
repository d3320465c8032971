//! The results of a race: as JSON, and as tables in Markdown.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::measure::Sample;
use super::workload::Kind;
use crate::load::median;
use crate::report::Times;
use crate::seed::per_second;

/// The name of the emptiest handler, which is measured beside the servers.
pub(super) const LIMIT: &str = "limit";

#[derive(Serialize, Deserialize)]
pub(super) struct Results {
    /// The time at which it began, in milliseconds since the Unix epoch.
    pub(super) began_ts: i64,
    pub(super) cores: usize,
    /// The number of accounts on the first server.
    pub(super) accounts: u64,
    /// The servers, in the order in which they were given, and the limit at the end.
    pub(super) targets: Vec<About>,
    pub(super) rows: Vec<Row>,
    /// The results of the database driver alone.
    pub(super) driver: Vec<Driver>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) peak_mb: Option<f64>,
}

/// A workload over some connections.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) workload: String,
    pub(super) title: String,
    pub(super) kind: Kind,
    pub(super) connections: usize,
    /// By server; `None` if the workload does not work there.
    pub(super) figures: Vec<Option<Figures>>,
    /// The disagreement of the servers, or the reason why one was not measured.
    pub(super) wrong: Option<String>,
}

/// The measurements of one server in all rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) requests: usize,
    pub(super) errors: usize,
    pub(super) error: Option<String>,
    pub(super) median_ms: f64,
    pub(super) p99_ms: f64,
    /// The median of the rounds.
    pub(super) per_second: f64,
    /// Processor time of the server for a request, if visible.
    pub(super) cpu_ms: Option<f64>,
}

/// The rate, per second, at which one thread reads and serialises the same data as a workload.
#[derive(Serialize, Deserialize)]
pub(super) struct Driver {
    pub(super) workload: String,
    pub(super) title: String,
    pub(super) per_second: f64,
}

impl Figures {
    /// From the rounds.
    pub(super) fn of(samples: Vec<Sample>) -> Self {
        let requests = samples.iter().map(|sample| sample.took.len()).sum();
        let cpu: Option<f64> = samples.iter().map(|sample| sample.cpu_seconds).sum();
        let per_round = median(samples.iter().map(|sample| sample.per_second).collect());
        let errors = samples.iter().map(|sample| sample.errors).sum();
        let error = samples.iter().find_map(|sample| sample.error.clone());
        let times = Times::of(samples.into_iter().flat_map(|sample| sample.took).collect());
        Self {
            requests,
            errors,
            error,
            median_ms: times.median,
            p99_ms: times.p99,
            per_second: per_round,
            cpu_ms: cpu.filter(|_| requests > 0).map(|cpu| cpu * 1000.0 / per_second(requests, 1.0)),
        }
    }
}

impl Row {
    fn rate(&self, target: usize) -> Option<f64> {
        let figures = self.figures.get(target)?.as_ref()?;
        (figures.per_second > 0.0).then_some(figures.per_second)
    }

    /// The requests a second of the first of two servers, as a multiple of the second's.
    fn ratio(&self, first: usize, second: usize) -> Option<f64> {
        Some(self.rate(first)? / self.rate(second)?)
    }
}

/// A number with three significant digits, or all before the point.
pub(super) fn short(value: f64) -> String {
    let digits = match value.abs() {
        value if value < 1.0 => 3,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

fn cell(value: Option<f64>) -> String {
    value.map(short).unwrap_or_default()
}

impl Results {
    /// True if all servers completed everything, without errors, and agree.
    pub(super) fn is_good(&self) -> bool {
        self.rows.iter().all(|row| {
            let mut figures = row.figures.iter().flatten();
            row.wrong.is_none() && figures.all(|figures| figures.errors == 0)
        })
    }

    /// The position of the limit, which comes last.
    fn limit(&self) -> usize {
        self.targets.len().saturating_sub(1)
    }

    fn name(&self, target: usize) -> &str {
        self.targets.get(target).map_or("", |about| &about.name)
    }

    /// The median of a server for the workload of a row of another race.
    fn median(&self, target: &str, like: &Row) -> Option<f64> {
        let at = self.targets.iter().position(|about| about.name == target)?;
        let same = |row: &&Row| row.workload == like.workload && row.connections == like.connections;
        let figures = self.rows.iter().find(same)?.figures.get(at)?.as_ref()?;
        (figures.requests > 0).then_some(figures.median_ms)
    }

    /// Everything as tables.
    pub(super) fn tables(&self) -> String {
        let mut text = format!("{} accounts, {} cores.\n\n", self.accounts, self.cores);
        text.push_str("| Server | Version | Peak memory, MB |\n|---|---|---|\n");
        for About { name, version, peak_mb } in &self.targets {
            let version = version.as_deref().unwrap_or_default();
            let _ = writeln!(text, "| {name} | {version} | {} |", cell(*peak_mb));
        }
        text.push('\n');
        text.push_str(&self.table());
        text.push('\n');
        text.push_str(&self.summary());
        if !self.driver.is_empty() {
            text.push_str("\n| The driver alone, one thread | A second | Of it |\n|---|---|---|\n");
        }
        for Driver { workload, title, per_second } in &self.driver {
            let of = self.rows.iter().filter(|row| row.workload == *workload);
            let best = of.filter_map(|row| row.rate(0)).max_by(f64::total_cmp);
            let of = cell(best.map(|rate| rate / per_second));
            let _ = writeln!(text, "| {title} | {} | {of} |", short(*per_second));
        }
        for row in &self.rows {
            let at = |name: &str| format!("{}, {} connections, {name}", row.title, row.connections);
            if let Some(wrong) = &row.wrong {
                let _ = writeln!(text, "\nWRONG: {}: {wrong}", row.title);
            }
            for (target, figures) in row.figures.iter().enumerate() {
                if let Some(Figures { errors: 1.., error, requests, .. }) = figures {
                    let errors = figures.as_ref().map_or(0, |figures| figures.errors);
                    let error = error.as_deref().unwrap_or_default();
                    let _ = writeln!(
                        text,
                        "\nERRORS: {}: {errors} beside {requests} good answers: {error}",
                        at(self.name(target))
                    );
                }
            }
        }
        text
    }

    /// One line for each workload and number of connections.
    fn table(&self) -> String {
        let limit = self.limit();
        let first = self.name(0);
        let (mut head, mut line) = ("| Workload | Conn. |".to_owned(), "|---|---:|".to_owned());
        for target in 0..limit {
            let name = self.name(target);
            let _ = write!(head, " {name} median / p99 ms | {name} req/s | {name} CPU ms |");
            line.push_str("---:|---:|---:|");
        }
        for target in 1..limit {
            let _ = write!(head, " {first} ÷ {} |", self.name(target));
            line.push_str("---:|");
        }
        let _ = write!(head, " limit req/s | limit ÷ {first} |");
        line.push_str("---:|---:|");
        let mut text = format!("{head}\n{line}\n");
        for row in &self.rows {
            let mark = if row.wrong.is_some() { " WRONG" } else { "" };
            let _ = write!(text, "| {}{mark} | {} |", row.title, row.connections);
            for figures in row.figures.iter().take(limit) {
                let Some(figures) = figures else {
                    text.push_str(" | | |");
                    continue;
                };
                let mark = if figures.errors > 0 { " ERRORS" } else { "" };
                let _ = write!(
                    text,
                    " {} / {} | {}{mark} | {} |",
                    short(figures.median_ms),
                    short(figures.p99_ms),
                    short(figures.per_second),
                    cell(figures.cpu_ms)
                );
            }
            for target in 1..limit {
                let _ = write!(text, " {} |", cell(row.ratio(0, target)));
            }
            let _ = writeln!(text, " {} | {} |", cell(row.rate(limit)), cell(row.ratio(limit, 0)));
        }
        text
    }

    /// The worst ratios of each kind of workload.
    fn summary(&self) -> String {
        let limit = self.limit();
        let first = self.name(0);
        let (mut head, mut line) = ("| Kind |".to_owned(), "|---|".to_owned());
        for target in 1..limit {
            let _ = write!(head, " {first} ÷ {}, at least |", self.name(target));
            line.push_str("---|");
        }
        let _ = write!(head, " limit ÷ {first}, at most |");
        let mut text = format!("{head}\n{line}---|\n");
        for kind in Kind::ALL {
            let rows = || self.rows.iter().filter(|row| row.kind == kind);
            let named = |worst: Option<(f64, &Row)>| {
                worst.map_or(String::new(), |(ratio, row)| {
                    format!("{} ({}, {})", short(ratio), row.title, row.connections)
                })
            };
            if rows().next().is_none() {
                continue;
            }
            let _ = write!(text, "| {} |", kind.title());
            for target in 1..limit {
                let ratios = rows().filter_map(|row| Some((row.ratio(0, target)?, row)));
                let _ = write!(text, " {} |", named(ratios.min_by(|a, b| a.0.total_cmp(&b.0))));
            }
            let ratios = rows().filter_map(|row| Some((row.ratio(limit, 0)?, row)));
            let _ = writeln!(text, " {} |", named(ratios.max_by(|a, b| a.0.total_cmp(&b.0))));
        }
        text
    }
}

/// The growth of the median of a workload on a server with the number of accounts.
pub(super) struct Growth {
    pub(super) title: String,
    pub(super) connections: usize,
    pub(super) target: String,
    /// By number of accounts, ascending.
    pub(super) medians: Vec<(u64, f64)>,
}

impl Growth {
    /// The median with the most accounts, as a multiple of that with the fewest.
    pub(super) fn ratio(&self) -> Option<f64> {
        let ((_, fewest), (_, most)) = (self.medians.first()?, self.medians.last()?);
        (self.medians.len() > 1 && *fewest > 0.0).then(|| most / fewest)
    }
}

/// Combines races of several sizes: by server, then by workload, in the order of the largest. The limit is left
/// out.
pub(super) fn growth(races: &[Results]) -> Vec<Growth> {
    let mut races: Vec<&Results> = races.iter().collect();
    races.sort_by_key(|race| race.accounts);
    let Some(largest) = races.last() else { return Vec::new() };
    let targets = largest.targets.iter().filter(|about| about.name != LIMIT);
    let of_target = targets.flat_map(|about| {
        largest.rows.iter().map(|row| {
            let medians =
                races.iter().filter_map(|race| Some((race.accounts, race.median(&about.name, row)?)));
            Growth {
                title: row.title.clone(),
                connections: row.connections,
                target: about.name.clone(),
                medians: medians.collect(),
            }
        })
    });
    of_target.filter(|growth| !growth.medians.is_empty()).collect()
}

/// The medians by number of accounts as a table.
pub(super) fn growth_table(growth: &[Growth]) -> String {
    let mut sizes: Vec<u64> =
        growth.iter().flat_map(|growth| &growth.medians).map(|(accounts, _)| *accounts).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let (mut head, mut line) = ("| Server | Workload | Conn. |".to_owned(), "|---|---|---:|".to_owned());
    for size in &sizes {
        let _ = write!(head, " {size} accounts, median ms |");
        line.push_str("---:|");
    }
    let mut text = format!("{head} Growth |\n{line}---:|\n");
    for of in growth {
        let _ = write!(text, "| {} | {} | {} |", of.target, of.title, of.connections);
        for size in &sizes {
            let median = of.medians.iter().find(|(accounts, _)| accounts == size);
            let _ = write!(text, " {} |", cell(median.map(|(_, median)| *median)));
        }
        let _ = writeln!(text, " {} |", cell(of.ratio()));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(took: &[u64], per_second: f64, cpu_seconds: Option<f64>) -> Sample {
        let took = took.iter().map(|ms| Duration::from_millis(*ms)).collect();
        Sample { took, per_second, cpu_seconds, ..Sample::default() }
    }

    #[test]
    fn figures_are_of_all_rounds() {
        let rounds = vec![
            sample(&[5, 1], 10.0, Some(0.5)),
            sample(&[3], 40.0, Some(0.1)),
            sample(&[100], 20.0, Some(0.2)),
        ];
        let figures = Figures::of(rounds);
        let expected = Figures {
            requests: 4,
            errors: 0,
            error: None,
            median_ms: 5.0,
            p99_ms: 100.0,
            per_second: 20.0,
            cpu_ms: Some(200.0),
        };
        assert_eq!(figures, expected);
        let unseen = Figures::of(vec![sample(&[5], 10.0, Some(0.5)), sample(&[], 0.0, None)]);
        assert_eq!((unseen.cpu_ms, unseen.requests), (None, 1));
    }

    fn race(accounts: u64, targets: &[(&str, f64)]) -> Results {
        let figures = |median_ms| Figures::of(vec![sample(&[median_ms], 1.0, None)]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers")]
        let figures = targets.iter().map(|(_, ms)| (*ms > 0.0).then(|| figures(*ms as u64))).collect();
        let about = |name: &str| About { name: name.to_owned(), version: None, peak_mb: None };
        let row = Row {
            workload: "list".to_owned(),
            title: "List".to_owned(),
            kind: Kind::List,
            connections: 1,
            figures,
            wrong: None,
        };
        Results {
            began_ts: 0,
            cores: 2,
            accounts,
            targets: targets.iter().map(|(name, _)| about(name)).collect(),
            rows: vec![row],
            driver: Vec::new(),
        }
    }

    #[test]
    fn growth_goes_from_the_fewest_accounts_to_the_most() {
        let races = [
            race(1_000_000, &[("one", 6.0), ("two", 50.0), (LIMIT, 1.0)]),
            race(1_000, &[("one", 4.0), ("two", 0.0), (LIMIT, 1.0)]),
            race(100_000, &[("one", 9.0), ("two", 20.0), (LIMIT, 1.0)]),
        ];
        let growth = growth(&races);
        assert_eq!(growth.len(), 2);
        assert_eq!(growth[0].medians, [(1_000, 4.0), (100_000, 9.0), (1_000_000, 6.0)]);
        assert_eq!((growth[0].ratio(), growth[1].ratio()), (Some(1.5), Some(2.5)));
        let table = growth_table(&growth);
        assert_eq!(table.lines().last(), Some("| two | List | 1 |  | 20.0 | 50.0 | 2.50 |"));
    }

    #[test]
    fn ratios_say_how_many_times_as_fast_the_first_is() {
        let mut race = race(1_000, &[("one", 1.0), ("two", 1.0), (LIMIT, 1.0)]);
        for (figures, rate) in race.rows[0].figures.iter_mut().zip([50.0, 2.0, 100.0]) {
            figures.as_mut().unwrap().per_second = rate;
        }
        let table = race.table();
        assert_eq!(
            table.lines().last(),
            Some("| List | 1 | 1.00 / 1.00 | 50.0 |  | 1.00 / 1.00 | 2.00 |  | 25.0 | 100 | 2.00 |")
        );
        assert!(race.is_good());
        race.rows[0].figures[1].as_mut().unwrap().errors = 1;
        assert!(!race.is_good());
    }
}
