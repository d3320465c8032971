use std::{
    error::Error,
    fs::File,
    path::Path,
    sync::mpsc::{Receiver, SyncSender},
    time::Duration,
};

use rusqlite::{
    Connection, ErrorCode, MAIN_DB, OpenFlags, Row, TransactionBehavior, config::DbConfig, hooks::Wal,
};

use crate::migrate::{self, Applied};
use crate::{DbError, Engine, Migration, OpenError, Options, clock};

/// Size of the statement cache: more than the program has statements.
const CACHED_STATEMENTS: usize = 512;

/// Time to wait for another process that holds the file.
const BUSY: Duration = Duration::from_secs(10);

/// The write-ahead log shrinks to this after a checkpoint.
const LOG_LIMIT: i64 = 64 * 1024 * 1024;

/// A checkpoint is due when this many pages (of 4 KiB) were added to the log.
const CHECKPOINT_EVERY: i32 = 1000;

/// The writer itself checkpoints the log when it has this many pages, and the log begins anew: while the writer writes,
/// the log has no end that another thread could reach.
const CHECKPOINT_AT_ONCE: i32 = 8192;

/// Returns a connection that may write to an existing file. Nothing is written yet.
pub(super) fn open(path: &Path) -> Result<Connection, Box<dyn Error>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| reason(path, error))?;
    if connection.is_readonly(MAIN_DB)? {
        return Err("this user may read the file, but not write to it".into());
    }
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Returns the reason why a file could not be opened, from the system if SQLite gives none.
///
/// The file is opened for it, which may be done only after SQLite failed: closing a file releases all locks
/// that the process has on it.
pub(super) fn reason(path: &Path, error: rusqlite::Error) -> Box<dyn Error> {
    if error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
        && let Err(reason) = File::open(path)
    {
        return Box::new(reason);
    }
    Box::new(error)
}

/// Prepares the writing connection.
pub(super) fn set_up(connection: &Connection, options: &Options) -> Result<(), Box<dyn Error>> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err("the file system does not support a write-ahead log".into());
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT, |_| Ok(()))?;
    common(connection, options)?;
    Ok(())
}

/// Says when a checkpoint is `due`, after the commit that made it so: one by SQLite itself would keep the writer from
/// its work for as long as it takes.
pub(super) fn watch_log(connection: &mut Connection, due: SyncSender<()>) -> rusqlite::Result<()> {
    let mut checkpointed = 0;
    connection.wal_hook(Some(move |log: &mut Wal, pages: i32| {
        if pages < checkpointed {
            // The log began anew.
            checkpointed = 0;
        }
        if pages - checkpointed < CHECKPOINT_EVERY {
            return Ok(());
        }
        checkpointed = pages;
        if pages < CHECKPOINT_AT_ONCE {
            // One may wait for the one that runs.
            due.try_send(()).ok();
        } else if let Err(error) = log.checkpoint() {
            // Most often the other thread is just at it.
            tracing::debug!(%error, "could not checkpoint the write-ahead log into the database");
        }
        Ok(())
    }))
}

/// Ends what [`watch_log`] began.
pub(super) fn unwatch_log(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>)
}

/// Checkpoints the log into the file each time that this is `due`, until nobody can say so any more.
pub(super) fn checkpoint(connection: &Connection, due: &Receiver<()>) {
    while due.recv().is_ok() {
        let done = connection.pragma_update_and_check(None, "wal_checkpoint", "PASSIVE", |_| Ok(()));
        if let Err(error) = done {
            tracing::warn!(%error, "could not checkpoint the write-ahead log into the database");
        }
    }
}

/// Returns a read-only connection.
pub(super) fn reading(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    common(&connection, options)?;
    Ok(connection)
}

fn common(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    // A plan must not depend on the values bound: with a partial index on a table, SQLite would otherwise
    // prepare every statement about that table again each time it runs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -options.cache_kib)?;
    connection.pragma_update(None, "temp_store", if options.sort_in_files { "FILE" } else { "MEMORY" })?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(())
}

/// Returns the migrations that were applied to the file; `None` if it has no table of them.
pub(super) fn applied(connection: &Connection) -> rusqlite::Result<Option<Applied>> {
    let tables: i64 = connection.query_row(migrate::TABLES_SQLITE, [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(None);
    }
    connection.query_row(migrate::APPLIED, [], read_applied).map(Some)
}

fn read_applied(row: &Row<'_>) -> rusqlite::Result<Applied> {
    Ok(Applied { last: row.get(0)?, first: row.get(1)? })
}

/// Applies missing migrations, each in a transaction that no other process can run at once.
pub(super) fn migrate(
    connection: &mut Connection,
    migrations: &'static [Migration],
) -> Result<(), OpenError> {
    migrate::check(migrations)?;
    let unavailable = |error: rusqlite::Error| OpenError::Unsupported(failure(error).to_string());
    loop {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(unavailable)?;
        tx.execute_batch(migrate::CREATE_TABLE).map_err(unavailable)?;
        let applied = tx.query_row(migrate::APPLIED, [], read_applied).map_err(unavailable)?;
        let Some(migration) = migrate::next(migrations, &applied)? else {
            return tx.commit().map_err(unavailable);
        };
        let failed = |error: rusqlite::Error| migration.failed(failure(error).to_string());
        tx.execute_batch(&migration.render(Engine::Sqlite)?).map_err(failed)?;
        tx.execute(migrate::RECORD, (migration.number, migration.name, clock::unix_ms())).map_err(failed)?;
        tx.commit().map_err(failed)?;
        tracing::info!(number = migration.number, name = migration.name, "migrated the database");
    }
}

/// Checkpoints the log into the file and closes it.
pub(super) fn finish(connection: Connection) {
    if let Err(error) = connection.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(())) {
        tracing::warn!(%error, "could not checkpoint the write-ahead log into the database");
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "could not close the database");
    }
}

/// Returns the error in terms of this crate.
pub(super) fn failure(error: rusqlite::Error) -> DbError {
    use rusqlite::ErrorCode::{
        CannotOpen, ConstraintViolation, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull,
        NotADatabase, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    let rusqlite::Error::SqliteFailure(code, text) = error else {
        return DbError::Internal(error.to_string());
    };
    let text = text.unwrap_or_else(|| code.to_string());
    match code.code {
        ConstraintViolation => DbError::Constraint(text),
        DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure | CannotOpen | PermissionDenied
        | ReadOnly | DatabaseCorrupt | NotADatabase => DbError::Unavailable(text),
        _ => DbError::Internal(text),
    }
}
