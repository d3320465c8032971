//! Work on a database file as a whole, while a server may be running on it.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
    ffi,
};
use tempfile::Builder;

use super::connection::{self, reason};
use crate::Options;

/// Number of pages (of 4 KiB) copied between two reports of progress.
const STEP: i32 = 4096;
/// Maximum number of reported faults.
const MAX_FAULTS: u8 = 100;

/// The reason why a database file could not be copied or checked.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The database cannot be read.
    #[error("cannot read the database {}: {reason}", .path.display())]
    Read {
        /// Its file.
        path: PathBuf,
        /// The reason given by the engine.
        reason: String,
    },
    /// It cannot be copied.
    #[error("cannot copy to {}: {reason}", .path.display())]
    Write {
        /// Its file.
        path: PathBuf,
        /// The reason given by the engine or the system.
        reason: String,
    },
}

/// Returns whether the file exists.
///
/// # Errors
/// The check failed, such as when the folder cannot be read.
pub(super) fn exists(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates an empty file that only its owner can read, whatever the umask. SQLite gives its write-ahead log and
/// shared memory the same mode.
pub(super) fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map(drop),
    }
}

/// Copies the SQLite database of a file, as it is at one moment, to a new file, and returns the size of the
/// copy in bytes. Only the owner can read it, and it exists as a whole and durably, or not at all.
///
/// Others may write to the database meanwhile. `progress` receives the number of copied pages and the total.
///
/// # Errors
/// [`FileError`]: the database cannot be read, or the copy cannot be written or exists already.
pub fn backup(from: &Path, to: &Path, progress: impl Fn(u64, u64)) -> Result<u64, FileError> {
    let unreadable = |error: rusqlite::Error| FileError::Read {
        path: from.to_owned(),
        reason: reason(from, error).to_string(),
    };
    let unwritable = |error: &dyn Error| FileError::Write { path: to.to_owned(), reason: error.to_string() };
    let source = connection::reading(from, &Options::default()).map_err(unreadable)?;
    // The copy would start again with each write of others if it had no snapshot.
    let snapshot = source.unchecked_transaction().map_err(unreadable)?;
    let _: i64 =
        snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(unreadable)?;

    if to.exists() {
        return Err(unwritable(&io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".");
    let part = Builder::new().prefix(&name).suffix(".part").tempfile_in(folder);
    let part = part.map_err(|error| unwritable(&error))?;
    copy(&snapshot, part.path(), progress).map_err(|error| unwritable(&error))?;
    let durable = || {
        part.as_file().sync_all()?;
        let bytes = part.as_file().metadata()?.len();
        part.persist_noclobber(to)?;
        File::open(folder)?.sync_all()?;
        io::Result::Ok(bytes)
    };
    durable().map_err(|error| unwritable(&error))
}

fn copy(from: &Connection, to: &Path, progress: impl Fn(u64, u64)) -> rusqlite::Result<()> {
    let mut copy = Connection::open(to)?;
    // It is visible only when it is complete and synced.
    copy.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(from, &mut copy)?;
    loop {
        let step = backup.step(STEP)?;
        let pages = |count: i32| u64::try_from(count).unwrap_or(0);
        let told = backup.progress();
        progress(pages(told.pagecount - told.remaining), pages(told.pagecount));
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            // Unexpected: no other process knows the copy, and readers do not wait for writers.
            _ => return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)),
        }
    }
    drop(backup);
    copy.close().map_err(|(_, error)| error)
}

/// Reads the whole SQLite database of a file and returns its faults, one per text: inconsistent pages, indexes
/// and search data, and rows that refer to missing rows.
///
/// # Errors
/// [`FileError::Read`]: it is too damaged to be checked, or it is not a database.
pub fn check(path: &Path) -> Result<Vec<String>, FileError> {
    let faults = || -> rusqlite::Result<Vec<String>> {
        let connection = connection::reading(path, &Options::default())?;
        let mut faults: Vec<String> = Vec::new();
        connection.pragma(None, "integrity_check", MAX_FAULTS, |row| {
            faults.push(row.get(0)?);
            Ok(())
        })?;
        faults.retain(|fault| fault != "ok");
        let mut orphans = connection.prepare("PRAGMA foreign_key_check")?;
        let orphans = orphans.query_map([], |row| {
            let (table, row_id, parent): (String, Option<i64>, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let row_id = row_id.map_or_else(String::new, |row_id| format!(" {row_id}"));
            Ok(format!("row{row_id} of {table} refers to a row of {parent} that is not there"))
        })?;
        for orphan in orphans.take(usize::from(MAX_FAULTS).saturating_sub(faults.len())) {
            faults.push(orphan?);
        }
        Ok(faults)
    };
    faults()
        .map_err(|error| FileError::Read { path: path.to_owned(), reason: reason(path, error).to_string() })
}
