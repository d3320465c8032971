//! `reeve import`. The format of the file is described in `docs/import.md`.

mod lines;
mod progress;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use reeve_accounts::{
    Policy,
    import::{DryRun, Importer, Outcome, Refusal, Tally},
};
use reeve_model::Ctx;
use serde_json::json;
use tokio::sync::mpsc;

use self::{
    lines::{Batch, Line, Reader},
    progress::Progress,
};
use super::{
    Failure, block_on,
    operator::{Operator, check_exists, database, missing},
    serve::Signals,
    terminal::{self, print},
};
use crate::{
    server::{self, Config},
    settings::Settings,
};

/// Number of batches that are read ahead.
const READ_AHEAD: usize = 1;
/// Number of refused accounts that are printed without a file for them.
const NAMED: usize = 20;

/// The subcommands of `reeve import`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Import accounts, one JSON object a line, as docs/import.md describes. On SQLite the server must be
    /// stopped. Existing accounts are left alone, so that an import can be repeated
    Accounts(Accounts),
}

#[derive(Debug, clap::Args)]
pub(super) struct Accounts {
    /// The file; - for standard input
    file: PathBuf,
    /// A file for the refused accounts with reasons, one JSON object a line
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Check everything and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let Command::Accounts(accounts) = command;
    let config = Config::from_settings(settings);
    block_on(async {
        if accounts.dry_run {
            return check(&accounts, &config).await;
        }
        check_exists(&config)?;
        // Held to the end. On PostgreSQL servers may run meanwhile.
        let _lock = config.locked_dir.clone().map(server::lock).transpose()?;
        let operator = Operator::open_for_import(&config).await?.ok_or_else(|| missing(&config))?;
        let source = accounts.file.file_name().map_or("-".into(), |name| name.to_string_lossy());
        let (db, ctx, policy) = (operator.db().clone(), operator.ctx(), operator.policy().clone());
        let importer = Importer::new(db, ctx.clone(), policy.clone(), &source).await?;
        let result = import(&accounts, Taker::Import(Box::new(importer)), ctx, policy).await;
        operator.close().await;
        result
    })
}

/// Checks the file, against the accounts of the database if there is one.
async fn check(accounts: &Accounts, config: &Config) -> Result<(), Failure> {
    let operator = Operator::open_for_import(config).await?;
    if operator.is_none() {
        terminal::say(&format!("there is no database {}: checking the file only", database(config)));
    }
    let taker = Taker::DryRun(DryRun::new(operator.as_ref().map(|operator| operator.db().clone())));
    let ctx = Ctx::system(&config.clock, &Arc::from(config.server_name.as_str()), "cli");
    let result = import(accounts, taker, ctx, config.policy.clone()).await;
    if let Some(operator) = operator {
        operator.close().await;
    }
    result
}

/// The receiver of accounts.
enum Taker {
    Import(Box<Importer>),
    DryRun(DryRun),
}

impl Taker {
    async fn add(&mut self, batch: Batch, report: &mut Report) -> Result<(), Failure> {
        let (mut numbers, mut candidates, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for line in batch.lines {
            match line {
                Line::Account(number, candidate) => {
                    numbers.push((number, candidate.user_id().to_owned()));
                    candidates.push(*candidate);
                }
                Line::Refused(number, user_id, refusal) => refused.push((number, user_id, refusal)),
            }
        }
        let outcomes = match self {
            Self::Import(importer) => importer.add(candidates, refused.len()).await?,
            Self::DryRun(dry_run) => dry_run.add(candidates, refused.len()).await?,
        };
        for ((number, user_id), outcome) in numbers.into_iter().zip(outcomes) {
            if let Outcome::Refused(refusal) = outcome {
                refused.push((number, Some(user_id), refusal));
            }
        }
        refused.sort_by_key(|(number, ..)| *number);
        for (number, user_id, refusal) in refused {
            report.refuse(number, user_id.as_deref(), refusal)?;
        }
        report.flush()
    }

    fn tally(&self) -> Tally {
        match self {
            Self::Import(importer) => importer.tally(),
            Self::DryRun(dry_run) => dry_run.tally(),
        }
    }
}

async fn import(accounts: &Accounts, mut taker: Taker, ctx: Ctx, policy: Policy) -> Result<(), Failure> {
    let (input, size) = open(&accounts.file)?;
    let mut report = Report::new(accounts.refused.as_deref())?;
    let mut signals = Signals::new().map_err(super::cannot_start)?;
    let progress = Progress::new(size);

    // One thread reads and checks while another writes. It ends when the receiver is gone, or with the program.
    let (send, mut receive) = mpsc::channel(READ_AHEAD);
    let reader = thread::Builder::new().name("read".to_owned()).spawn(move || {
        let mut reader = Reader::new(input, ctx, policy);
        while let Some(batch) = reader.next().transpose() {
            let failed = batch.is_err();
            if send.blocking_send(batch).is_err() || failed {
                return;
            }
        }
    });
    reader.map_err(super::cannot_start)?;

    let mut stopped = None;
    let mut failure = None;
    let mut last_line = 0;
    loop {
        let batch = tokio::select! {
            biased;
            name = signals.next() => {
                stopped = Some(name);
                break;
            }
            batch = receive.recv() => batch,
        };
        let Some(batch) = batch else { break };
        let done = match batch {
            Ok(batch) => {
                let (last, bytes) = (batch.last_line, batch.end);
                let done = taker.add(batch, &mut report).await;
                last_line = last;
                progress.read(bytes, taker.tally());
                done
            }
            Err(error) => Err(Failure::new(format!("cannot read {}: {error}", accounts.file.display()))),
        };
        if let Err(error) = done {
            failure = Some(error);
            break;
        }
    }
    drop(receive);

    let tally = taker.tally();
    if let Taker::Import(importer) = taker {
        let caught_up = tokio::select! {
            done = importer.finish(|share| progress.finishing(share)) => done.map(|_| ()).map_err(Failure::from),
            name = signals.next() => Err(Failure::new(format!(
                "stopped by {name} before the lists of accounts were rebuilt: the next start of the server, or of \
                 an import, rebuilds them"
            ))),
        };
        failure = failure.or(caught_up.err());
    }
    progress.clear();
    print(&report.summary(tally, accounts.dry_run))?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    if let Some(name) = stopped {
        return Err(Failure::new(format!(
            "stopped by {name} after line {last_line}: run it again to continue"
        )));
    }
    match tally.refused {
        0 => Ok(()),
        1 => Err(Failure::new("1 account was refused")),
        n => Err(Failure::new(format!("{n} accounts were refused"))),
    }
}

/// The file and its size, if known.
fn open(path: &Path) -> Result<(Box<dyn BufRead + Send>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let failed = |error: io::Error| Failure::new(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    Ok((Box::new(BufReader::with_capacity(1 << 18, file)), metadata.is_file().then_some(metadata.len())))
}

/// The report of refused accounts.
struct Report {
    file: Option<(PathBuf, BufWriter<File>)>,
    reasons: BTreeMap<&'static str, i64>,
    named: usize,
}

impl Report {
    fn new(path: Option<&Path>) -> Result<Self, Failure> {
        let file = match path {
            None => None,
            Some(path) => {
                // The file contains personal data.
                let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
                let file = file.map_err(|error| cannot_write(path, &error))?;
                Some((path.to_owned(), BufWriter::new(file)))
            }
        };
        Ok(Self { file, reasons: BTreeMap::new(), named: 0 })
    }

    fn refuse(&mut self, line: u64, user_id: Option<&str>, refusal: Refusal) -> Result<(), Failure> {
        *self.reasons.entry(refusal.reason).or_default() += 1;
        let Refusal { reason, error } = refusal;
        if let Some((path, file)) = &mut self.file {
            let entry = json!({ "line": line, "user_id": user_id, "reason": reason, "error": error });
            return writeln!(file, "{entry}").map_err(|error| cannot_write(path, &error));
        }
        if self.named < NAMED {
            terminal::say(&format!("line {line}: {}: {error}", user_id.unwrap_or("no user id")));
        } else if self.named == NAMED {
            terminal::say("more accounts are refused: use --refused FILE to get all of them");
        }
        self.named += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.file {
            Some((path, file)) => file.flush().map_err(|error| cannot_write(path, &error)),
            None => Ok(()),
        }
    }

    fn summary(&self, tally: Tally, dry_run: bool) -> String {
        let added = if dry_run { "would be added" } else { "added" };
        let mut text =
            format!("{} {added}\n{} there already\n{} refused\n", tally.added, tally.present, tally.refused);
        for (reason, n) in &self.reasons {
            let _ = writeln!(text, "  {n} {reason}");
        }
        text
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}
