//! The results, as a table and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

/// The verdict of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no target.
    Info,
    /// The target is reached.
    Ok,
    /// The target is not reached.
    Missed,
    /// The response was wrong.
    Wrong,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "",
            Self::Ok => "ok",
            Self::Missed => "MISSED",
            Self::Wrong => "WRONG",
        }
    }
}

struct Row {
    name: String,
    value: String,
    target: String,
    verdict: Verdict,
}

/// Times of one request, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Times {
    pub(crate) fn of(mut took: Vec<Duration>) -> Self {
        took.sort();
        let at = |per_cent: usize| {
            let last = took.len().saturating_sub(1);
            took.get(last.min(took.len() * per_cent / 100)).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
        };
        Self { median: at(50), p99: at(99), max: at(100) }
    }
}

/// Collects results.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    details: Vec<Value>,
}

impl Report {
    /// A figure without a target.
    pub(crate) fn info(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.row(name, value, "", Verdict::Info);
    }

    /// A figure with a target.
    pub(crate) fn row(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
        target: impl Into<String>,
        verdict: Verdict,
    ) {
        let row = Row { name: name.into(), value: value.into(), target: target.into(), verdict };
        println!("  {}: {} {} {}", row.name, row.value, row.target, row.verdict.name());
        self.rows.push(row);
    }

    /// One list request, for the JSON file; printed as progress.
    pub(crate) fn list(&mut self, name: &str, times: Times, limit_ms: f64, verdict: Verdict) {
        let Times { median, p99, max } = times;
        println!("  {name:<64} {median:>8.2} {p99:>8.2} {max:>8.2}  < {limit_ms} {}", verdict.name());
        self.details.push(json!({
            "name": name, "median": median, "p99": p99, "max": max,
            "limit_ms": limit_ms, "verdict": verdict.name(),
        }));
    }

    /// True if every target is reached and every response is right.
    pub(crate) fn is_good(&self) -> bool {
        self.rows.iter().all(|row| matches!(row.verdict, Verdict::Info | Verdict::Ok))
    }

    /// The summary as a table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("| What | Measured | Target | |\n|---|---|---|---|\n");
        for Row { name, value, target, verdict } in &self.rows {
            let _ = writeln!(table, "| {name} | {value} | {target} | {} |", verdict.name());
        }
        table
    }

    /// Everything as JSON.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({ "name": row.name, "value": row.value, "target": row.target, "verdict": row.verdict.name() }))
            .collect();
        json!({ "summary": rows, "lists": self.details })
    }
}

/// Compares `value` with `limit`.
pub(crate) fn below(value: f64, limit: f64) -> Verdict {
    if value < limit { Verdict::Ok } else { Verdict::Missed }
}
