use std::time::Duration;

use postgres::{Client, Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{session::describe, tls};
use crate::migrate::{self, Applied};
use crate::{DatabaseUrl, Engine, Migration, OpenError, Schema, clock};

/// The oldest supported server version.
const OLDEST: i32 = 130_000;

/// The advisory lock of a migration: "Reeve" in ASCII.
const LOCK: i64 = 0x52_65_65_76_65;

/// The settings of every session. A statement is cancelled after 30 seconds, and so that a stuck process cannot
/// hold locks for ever, an idle transaction after 60. Compiling plans takes longer than the short statements
/// here.
const SETTINGS: &str = "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'; \
     SET client_min_messages = 'warning'; SET jit = off";

/// A server and how to reach it.
pub(super) struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Server {
    /// Reads the URL.
    pub(super) fn new(address: &str) -> Result<Self, String> {
        // libpq's two stricter modes mean what "require" means here.
        let address = address
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = address.parse().map_err(|error| describe(&error))?;
        if config.get_application_name().is_none() {
            config.application_name("reeve");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        if config.get_tcp_user_timeout().is_none() {
            // A server that vanished is given up, like a statement, after 30 seconds.
            config.tcp_user_timeout(Duration::from_secs(30));
        }
        if !address.contains("keepalives") {
            config.keepalives_idle(Duration::from_secs(15));
            config.keepalives_interval(Duration::from_secs(5));
            config.keepalives_retries(3);
        }
        let tls = tls::connector(config.get_ssl_mode())?;
        Ok(Self { config, tls })
    }

    /// Returns a new connection, ready for use.
    pub(super) fn connect(&self) -> Result<Client, postgres::Error> {
        let mut client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone())?,
            None => self.config.connect(NoTls)?,
        };
        client.batch_execute(SETTINGS)?;
        Ok(client)
    }

    /// Checks the database and applies missing migrations, as far as `schema` allows.
    pub(super) fn migrate(
        &self,
        schema: Schema,
        migrations: &'static [Migration],
        url: &DatabaseUrl,
        refused: &dyn Fn(String) -> OpenError,
    ) -> Result<(), OpenError> {
        migrate::check(migrations)?;
        let unavailable = |error: postgres::Error| refused(describe(&error));
        let mut client = self.connect().map_err(unavailable)?;
        usable(&mut client, refused)?;
        let applied = applied(&mut client).map_err(unavailable)?;
        if !migrate::is_wanted(schema, migrations, applied.as_ref(), url)? {
            return Ok(());
        }
        client.batch_execute("SET statement_timeout = 0").map_err(unavailable)?;
        loop {
            let mut tx = client.transaction().map_err(unavailable)?;
            // READ COMMITTED: the commits of the previous holder of the lock must be visible.
            tx.batch_execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").map_err(unavailable)?;
            tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).map_err(unavailable)?;
            tx.batch_execute(migrate::CREATE_TABLE).map_err(unavailable)?;
            let applied = tx
                .query_one(migrate::APPLIED, &[])
                .and_then(|row| read_applied(&row))
                .map_err(unavailable)?;
            let Some(migration) = migrate::next(migrations, &applied)? else {
                return tx.commit().map_err(unavailable);
            };
            let failed = |error: postgres::Error| migration.failed(describe(&error));
            tx.batch_execute(&migration.render(Engine::Postgres)?).map_err(failed)?;
            tx.execute(migrate::RECORD, &[&migration.number, &migration.name, &clock::unix_ms()])
                .map_err(failed)?;
            tx.commit().map_err(failed)?;
            tracing::info!(number = migration.number, name = migration.name, "migrated the database");
        }
    }
}

/// Returns the migrations that were applied to the database; `None` if it has no table of them.
fn applied(client: &mut Client) -> Result<Option<Applied>, postgres::Error> {
    let tables: i64 = client.query_one(migrate::TABLES_POSTGRES, &[])?.try_get(0)?;
    if tables == 0 {
        return Ok(None);
    }
    client.query_one(migrate::APPLIED, &[]).and_then(|row| read_applied(&row)).map(Some)
}

fn read_applied(row: &Row) -> Result<Applied, postgres::Error> {
    Ok(Applied { last: row.try_get(0)?, first: row.try_get(1)? })
}

/// Checks that the server is new enough and that the database can store every text.
fn usable(client: &mut Client, refused: &dyn Fn(String) -> OpenError) -> Result<(), OpenError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::INT, current_setting('server_encoding')",
            &[],
        )
        .map_err(|error| refused(describe(&error)))?;
    let version: i32 = row.try_get(0).map_err(|error| refused(describe(&error)))?;
    let encoding: String = row.try_get(1).map_err(|error| refused(describe(&error)))?;
    if version < OLDEST {
        return Err(OpenError::Unsupported(format!("PostgreSQL {} is older than 13", version / 10_000)));
    }
    if encoding != "UTF8" {
        return Err(OpenError::Unsupported(format!("its encoding is {encoding} instead of UTF8")));
    }
    Ok(())
}
