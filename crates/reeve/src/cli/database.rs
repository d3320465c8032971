//! `reeve database`.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use reeve_db::{DatabaseUrl, Db, FileError, OpenError, Options, Schema};

use super::{
    Failure, block_on,
    operator::{check_exists, database, say_database},
    terminal::print,
};
use crate::{
    server::{self, Config},
    settings::Settings,
};

const MIB: u64 = 1 << 20;

/// Copying and checking do not change the schema: the database of an older version can be copied before it is
/// migrated.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create an empty database, for example for an import before the first start of the server
    Create,
    /// Bring the schema up to date, as the server does when it starts. Stop servers of older versions first
    Migrate,
    /// Copy the SQLite database, as it is at one moment, to a new file, whether the server runs or not
    Backup {
        /// The new file, which only its owner can read
        file: PathBuf,
    },
    /// Read the whole SQLite database and print its faults, whether the server runs or not. A backup is checked
    /// with --database sqlite:FILE
    Check,
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(error.to_string())
    }
}

pub(super) fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let config = Config::from_settings(settings);
    let url = database(&config);
    match (command, &url) {
        (Command::Create, _) => block_on(create(config, &url)),
        (Command::Migrate, _) => block_on(migrate(config, &url)),
        (Command::Backup { file }, DatabaseUrl::Sqlite(path)) => {
            check_exists(&config)?;
            say_database(&url);
            backup(path, &file)
        }
        (Command::Check, DatabaseUrl::Sqlite(path)) => {
            check_exists(&config)?;
            say_database(&url);
            check(path)
        }
        (Command::Backup { .. }, DatabaseUrl::Postgres(_)) => {
            Err(Failure::new("this is for SQLite: a PostgreSQL database is copied with pg_dump"))
        }
        (Command::Check, DatabaseUrl::Postgres(_)) => {
            Err(Failure::new("this is for SQLite: a PostgreSQL database is checked with pg_amcheck"))
        }
    }
}

/// Opens the database and closes it again, so that its schema is as `schema` demands.
async fn settle(config: &Config, url: &DatabaseUrl, schema: Schema) -> Result<(), OpenError> {
    let options = Options { schema, readers: 1, connections: 1, ..config.database_options.clone() };
    Db::open(url, options, reeve_store::MIGRATIONS).await?.close().await;
    Ok(())
}

async fn create(mut config: Config, url: &DatabaseUrl) -> Result<(), Failure> {
    match settle(&config, url, Schema::UpToDate).await {
        Err(OpenError::Missing { .. }) => {}
        Ok(()) | Err(OpenError::Pending { .. } | OpenError::SchemaTooNew { .. }) => {
            return Err(Failure::new(format!("the database {url} exists already")));
        }
        Err(error) => return Err(error.into()),
    }
    let _lock = config.locked_dir.take().map(server::lock).transpose()?;
    settle(&config, url, Schema::Create).await?;
    print(&format!("created the database {url}\n"))
}

async fn migrate(mut config: Config, url: &DatabaseUrl) -> Result<(), Failure> {
    check_exists(&config)?;
    let _lock = config.locked_dir.take().map(server::lock).transpose()?;
    settle(&config, url, Schema::Migrate).await?;
    print(&format!("the schema of the database {url} is up to date\n"))
}

fn backup(path: &Path, file: &Path) -> Result<(), Failure> {
    // Not shown without a terminal.
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
        return print(&format!("no faults in {}\n", path.display()));
    }
    print(&format!("{}\n", faults.join("\n")))?;
    Err(Failure::new(format!("{} is damaged: restore a backup, and look for the cause", path.display())))
}
