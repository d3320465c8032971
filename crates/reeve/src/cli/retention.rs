//! `reeve retention`: deletion of old data by rules, which the server does as jobs.

use std::time::Duration;

use reeve_accounts::Error;
use reeve_model::{JobState, Millis, RetentionRule};
use reeve_retention::{Cutoff, Order, Outcome, View};
use reeve_store::jobs;
use serde_json::{Value, json};

use super::{
    Failure, block_on,
    operator::Operator,
    terminal::{print, say, table},
    token::milliseconds,
};
use crate::server::Config;
use crate::settings::Settings;

/// Interval at which the progress is read.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// RULE is devices, media, preview_media, messages, guests, unused_accounts, audit or ip_addresses.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the rules, with their last runs
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete by a rule what is older than the settings say
    Run {
        /// The rule
        #[arg(value_parser = rule)]
        rule: RetentionRule,
        /// Another age, such as 90d; a day at least
        #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
        older_than: Option<i64>,
        /// Only count what would be deleted
        #[arg(long)]
        dry_run: bool,
        /// Do not wait for the end
        #[arg(long)]
        no_wait: bool,
    },
}

fn rule(text: &str) -> Result<RetentionRule, String> {
    let words = || RetentionRule::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("expected one of {}", words()))
}

pub(super) fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let rules = Config::from_settings(settings).retention;
    block_on(async {
        let operator = Operator::open(settings).await?;
        let result = answer(command, &operator, rules).await;
        operator.close().await;
        print(&result?)
    })
}

/// Runs a command, and returns its output.
async fn answer(
    command: Command,
    operator: &Operator,
    rules: reeve_retention::Settings,
) -> Result<String, Failure> {
    match command {
        Command::List { json } => list(operator, rules, json).await,
        Command::Run { rule, older_than, dry_run, no_wait } => {
            let wanted = Order { rule, cutoff: older_than.map(Cutoff::Age), dry_run };
            let ordered =
                operator.write(move |tx, ctx| match reeve_retention::order(tx, ctx, &rules, wanted) {
                    Ok(job) => Ok(Ok(job)),
                    Err(reeve_retention::Error::Db(error)) => Err(Error::Db(error)),
                    // An order is refused before it writes anything.
                    Err(error) => Ok(Err(error.to_string())),
                });
            let job = ordered.await?.map_err(Failure::new)?;
            if no_wait {
                return Ok(format!("job {job} is ordered; the server does it\n"));
            }
            wait(operator, &job).await
        }
    }
}

async fn list(
    operator: &Operator,
    rules: reeve_retention::Settings,
    as_json: bool,
) -> Result<String, Failure> {
    let views = operator.read(move |tx, _| Ok(reeve_retention::view(tx, &rules)?)).await?;
    if as_json {
        let rules: Vec<Value> = views.iter().map(to_json).collect();
        return Ok(format!("{:#}\n", json!({ "rules": rules })));
    }
    let heads = ["RULE", "AGE", "NEXT RUN (UTC)", "LAST RUN (UTC)", "DELETED", "KEPT"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(views.iter().map(|view| {
        let last = |value: fn(&reeve_store::retention::LastRun) -> String| {
            view.last.as_ref().map_or_else(|| "-".to_owned(), value)
        };
        vec![
            view.rule.to_string(),
            age(view),
            view.next_run_ts.map_or_else(|| "-".to_owned(), Millis::utc),
            last(|run| run.ended_ts.utc()),
            last(|run| run.deleted.to_string()),
            last(|run| run.kept.to_string()),
        ]
    }));
    Ok(table(&rows))
}

/// The age at which a rule deletes, for people.
fn age(view: &View) -> String {
    const DAY_MS: i64 = 86_400_000;
    match (view.messages, view.age_ms) {
        (Some(messages), _) if messages.enabled => "by room".to_owned(),
        (_, Some(ms)) if ms % DAY_MS == 0 => format!("{} days", ms / DAY_MS),
        (_, Some(ms)) => format!("{ms} ms"),
        (Some(_) | None, None) => "never".to_owned(),
    }
}

/// A rule with the keys of the administration API.
fn to_json(view: &View) -> Value {
    json!({
        "rule": view.rule,
        "older_than_ms": view.age_ms,
        "lifetimes": view.messages.map(|messages| json!({
            "enabled": messages.enabled,
            "default_ms": messages.lifetimes.default_ms,
            "min_ms": messages.lifetimes.min_ms,
            "max_ms": messages.lifetimes.max_ms,
        })),
        "next_run_ts": view.next_run_ts,
        "running": view.running,
        "last_run": view.last.as_ref().map(|run| json!({
            "job_id": run.job,
            "before_ts": run.before_ts,
            "ended_ts": run.ended_ts,
            "deleted": run.deleted,
            "kept": run.kept,
        })),
    })
}

/// Waits for the end of a run.
async fn wait(operator: &Operator, id: &str) -> Result<String, Failure> {
    say(&format!("job {id} is ordered; the server does it, also if this command is interrupted"));
    loop {
        let wanted = id.to_owned();
        let job = operator.read(move |tx, _| Ok(jobs::find(tx, &wanted)?)).await?;
        let job = job.ok_or_else(|| Failure::new(format!("the job {id} is gone")))?;
        match job.state {
            JobState::Scheduled | JobState::Active | JobState::Paused => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            JobState::Complete | JobState::Failed | JobState::Cancelled => {
                let outcome = job.result.as_deref().map(serde_json::from_str::<Outcome>).transpose();
                let outcome =
                    outcome.map_err(|error| Failure::new(format!("the result cannot be read: {error}")))?;
                let reason = || job.error.clone().unwrap_or_else(|| job.state.to_string());
                return outcome.map(ended).ok_or_else(|| Failure::new(reason()));
            }
        }
    }
}

fn ended(outcome: Outcome) -> String {
    let Outcome { rule, dry_run, deleted, kept, .. } = outcome;
    let done = if dry_run { "would be deleted" } else { "deleted" };
    format!("{rule}: {deleted} {done}, {kept} kept\n")
}
