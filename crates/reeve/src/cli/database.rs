//! `reeve database`.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use reeve_db::{DatabaseUrl, FileError};

use super::{Failure, operator::check_exists, terminal::print};
use crate::{server::Config, settings::Settings};

const MIB: u64 = 1 << 20;

/// Both leave the schema of the database as it is: also one of an older version can be copied before it is migrated.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Copy the SQLite database, as it is at one moment, to a new file, whether the server runs or not
    Backup {
        /// The new file, which nobody but its owner may read
        file: PathBuf,
    },
    /// Read the whole SQLite database and print what is wrong with it, whether the server runs or not. A backup is checked
    /// with --database sqlite:FILE
    Check,
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(error.to_string())
    }
}

pub(super) fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let database = Config::from_settings(settings).database;
    let path = match (&database, &command) {
        (DatabaseUrl::Sqlite(path), _) => path,
        (DatabaseUrl::Postgres(_), Command::Backup { .. }) => {
            return Err(Failure::new("this is for SQLite: a PostgreSQL database is copied with pg_dump"));
        }
        (DatabaseUrl::Postgres(_), Command::Check) => {
            return Err(Failure::new("this is for SQLite: a PostgreSQL database is checked with pg_amcheck"));
        }
    };
    check_exists(path)?;
    match command {
        Command::Backup { file } => backup(path, &file),
        Command::Check => check(path),
    }
}

fn backup(path: &Path, file: &Path) -> Result<(), Failure> {
    // Not shown where there is no terminal.
    let style = ProgressStyle::with_template("{wide_bar} {percent}%  {eta} left");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let copied = reeve_db::backup(path, file, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    print(&format!("copied {} MiB to {}\n", copied?.div_ceil(MIB), file.display()))
}

fn check(path: &Path) -> Result<(), Failure> {
    let faults = reeve_db::check(path)?;
    if faults.is_empty() {
        return print(&format!("found nothing wrong with {}\n", path.display()));
    }
    print(&format!("{}\n", faults.join("\n")))?;
    Err(Failure::new(format!(
        "{} is damaged: serve a backup instead, and look for the cause",
        path.display()
    )))
}
