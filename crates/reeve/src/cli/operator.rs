//! The database as account commands use it: opened beside a server that may be running on it.
//!
//! The server reads permissions from the database with each request, so a change by a command takes effect at
//! once. Long work is queued as jobs, which the server runs.

use std::{fs, io, path, sync::Arc, time::Duration};

use reeve_accounts::{Error, Policy, password::Hasher, policy::HashingCost};
use reeve_db::{DatabaseUrl, Db, DbError, OpenError, Options, ReadTx, Schema, Tx};
use reeve_model::{Actor, Clock, Ctx, Scopes, User, random};
use reeve_rooms::position;
use reeve_store::lists::users::bulk;
use reeve_store::users;

use super::{Failure, terminal};
use crate::{
    server::{Config, check_server_name},
    settings::{Secret, Settings},
};

/// SQLite: the page cache of each connection of an import, in KiB.
const IMPORT_CACHE_KIB: i64 = 40 * 1024;
/// Maximum time that a read of an import waits: as long as building an index takes.
const IMPORT_WAIT: Duration = Duration::from_mins(10);

/// The operator: a user with a shell on the server's machine.
pub(super) struct Operator {
    db: Db,
    clock: Clock,
    server_name: Arc<str>,
    request_id: Arc<str>,
    policy: Policy,
    hashing: HashingCost,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        Self::new(text.trim_end_matches('.'))
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let remedy = match &error {
            OpenError::Missing { .. } => {
                ": give the --data-dir or --database of the server, or create one with reeve database create"
            }
            OpenError::Pending { .. } => {
                ": stop the server if it runs, and start this version of it, or run reeve database migrate"
            }
            OpenError::Connect { .. }
            | OpenError::Unsupported(_)
            | OpenError::SchemaTooNew { .. }
            | OpenError::SchemaForeign
            | OpenError::Migration { .. }
            | OpenError::Migrations(_) => "",
        };
        Self::new(format!("{error}{remedy}"))
    }
}

/// The database of the settings, an SQLite file with its full path: commands print it, so that nobody works on
/// the wrong one.
pub(super) fn database(config: &Config) -> DatabaseUrl {
    match &config.database {
        DatabaseUrl::Sqlite(file) => {
            DatabaseUrl::Sqlite(path::absolute(file).unwrap_or_else(|_| file.clone()))
        }
        DatabaseUrl::Postgres(url) => DatabaseUrl::Postgres(url.clone()),
    }
}

/// Prints the database of a command to standard error.
pub(super) fn say_database(url: &DatabaseUrl) {
    terminal::say(&format!("the database is {url}"));
}

/// The error if there is no database.
pub(super) fn missing(config: &Config) -> Failure {
    OpenError::Missing { url: database(config).to_string() }.into()
}

/// Fails if the database is a file that does not exist.
pub(super) fn check_exists(config: &Config) -> Result<(), Failure> {
    let url = database(config);
    let DatabaseUrl::Sqlite(path) = &url else { return Ok(()) };
    match fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing(config)),
        Err(error) => Err(OpenError::Connect { url: url.to_string(), reason: error.to_string() }.into()),
    }
}

impl Operator {
    /// Opens the database of the settings, which must exist and be up to date.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        let config = Config::from_settings(settings);
        let operator = Self::find_database(&config, |options| options).await?;
        let operator = operator.ok_or_else(|| missing(&config))?;
        if operator.db.read(bulk::is_pending).await? {
            operator.close().await;
            return Err(Failure::new(
                "accounts are being imported, or an import was interrupted: the next start of the server, or of an \
                 import, completes it",
            ));
        }
        Ok(operator)
    }

    /// Opens the database for an import, on SQLite exclusively. `None`: there is no database.
    pub(super) async fn open_for_import(config: &Config) -> Result<Option<Self>, Failure> {
        let tune = |options| Options {
            cache_kib: IMPORT_CACHE_KIB,
            sort_in_files: true,
            wait: IMPORT_WAIT,
            ..options
        };
        Self::find_database(config, tune).await
    }

    async fn find_database(
        config: &Config,
        tune: impl FnOnce(Options) -> Options,
    ) -> Result<Option<Self>, Failure> {
        // A command makes one call after the other.
        let options = tune(Options {
            schema: Schema::UpToDate,
            readers: 1,
            connections: 2,
            ..config.database_options.clone()
        });
        let url = database(config);
        let db = match Db::open(&url, options, reeve_store::MIGRATIONS).await {
            Ok(db) => db,
            Err(OpenError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        say_database(&url);
        let operator = Self {
            db,
            clock: config.clock.clone(),
            server_name: Arc::from(config.server_name.as_str()),
            request_id: Arc::from(format!("cli-{}", random::letters(8))),
            policy: config.policy.clone(),
            hashing: config.hashing.clone(),
        };
        check_server_name(&operator.db, &operator.server_name).await?;
        Ok(Some(operator))
    }

    /// Closes the database.
    pub(super) async fn close(self) {
        self.db.close().await;
    }

    /// The account policy.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Runs a reading transaction.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        f: impl Fn(&ReadTx<'_>, &Ctx) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Failure> {
        let ctx = self.ctx();
        Ok(self.db.read(move |tx| f(tx, &ctx)).await?)
    }

    /// Runs a deed, which the audit log attributes to the command line.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        f: impl Fn(&mut Tx<'_>, &Ctx) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Failure> {
        let ctx = self.ctx();
        let write = move |tx: &mut Tx<'_>| {
            // This may be the first write after a backup was restored.
            position::begin_epoch(tx)?;
            f(tx, &ctx)
        };
        Ok(self.db.write(write).await?)
    }

    /// The database.
    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// The context of a deed at the current time.
    pub(super) fn ctx(&self) -> Ctx {
        Ctx {
            now: self.clock.now(),
            server_name: Arc::clone(&self.server_name),
            request_id: Arc::clone(&self.request_id),
            ip: None,
            actor: Some(Actor::Cli),
            scopes: Scopes::ALL,
        }
    }

    /// The full user id of a name in an argument: `alice`, `@alice:example.org`, also `@alice`.
    pub(super) fn user_id(&self, name: &str) -> Result<String, Failure> {
        let bare = name.strip_prefix('@').unwrap_or(name);
        let localpart = match bare.split_once(':') {
            None => bare,
            Some((localpart, domain)) if *domain == *self.server_name => localpart,
            Some((_, domain)) => {
                return Err(Failure::new(format!(
                    "{name:?} belongs to {domain}, this is {}",
                    self.server_name
                )));
            }
        };
        if localpart.is_empty() {
            return Err(Failure::new(format!("{name:?} is not the name of an account")));
        }
        Ok(format!("@{localpart}:{}", self.server_name))
    }

    /// The account of a name in an argument.
    pub(super) async fn find(&self, name: &str) -> Result<User, Failure> {
        let user_id = self.user_id(name)?;
        let sought = user_id.clone();
        let found = self.read(move |tx, _| Ok(users::find(tx, &sought)?)).await?;
        found.ok_or_else(|| Failure::new(format!("there is no account {user_id}")))
    }

    /// Reads a new password and hashes it.
    pub(super) async fn new_password_hash(&self, from_stdin: bool, user_id: &str) -> Result<String, Failure> {
        let password: Secret = terminal::new_password(from_stdin, user_id)?;
        let hasher = Hasher::new(self.hashing.clone())?;
        Ok(hasher.hash(password.expose()).await?)
    }
}
