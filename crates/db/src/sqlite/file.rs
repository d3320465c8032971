//! Work on a database file as a whole, beside a server that may be running on it.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, ErrorCode,
    backup::{Backup, StepResult},
    ffi,
};
use tempfile::Builder;

use super::connection;
use crate::Options;

/// So many pages (of 4 KiB) are copied before progress is told.
const STEP: i32 = 4096;
/// No more faults than this are told.
const MOST_FAULTS: u8 = 100;

/// Why a database file could not be copied or checked.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The database cannot be read.
    #[error("cannot read the database {}: {reason}", .path.display())]
    Read {
        /// Its file.
        path: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// It cannot be copied.
    #[error("cannot copy to {}: {reason}", .path.display())]
    Write {
        /// Its file.
        path: PathBuf,
        /// What the engine or the system said.
        reason: String,
    },
}

/// Whether there is a file.
///
/// # Errors
/// It cannot be found out, such as when the folder cannot be looked into.
pub(super) fn exists(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes an empty file that nobody but its owner may read, whatever the umask. SQLite gives its write-ahead log and
/// shared memory the same mode.
pub(super) fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map(drop),
    }
}

/// Why a file could not be opened, in the words of the system where SQLite has none.
///
/// The file is opened for it, which may be done only where SQLite failed: closing a file gives up all locks that the
/// process has on it.
pub(super) fn reason(path: &Path, error: rusqlite::Error) -> Box<dyn Error> {
    if error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
        && let Err(reason) = File::open(path)
    {
        return Box::new(reason);
    }
    Box::new(error)
}

/// Copies the SQLite database of a file, as it is at one moment, to a file that is not there yet, and returns how many
/// bytes the copy has. Only the owner may read it, and it is there as a whole and durable, or not at all.
///
/// Others may write to the database meanwhile. `progress` is told how many pages are copied, and of how many.
///
/// # Errors
/// [`FileError`]: the database cannot be read, or the copy cannot be written or is there already.
pub fn backup(from: &Path, to: &Path, progress: impl Fn(u64, u64)) -> Result<u64, FileError> {
    let unreadable = |error: rusqlite::Error| FileError::Read {
        path: from.to_owned(),
        reason: reason(from, error).to_string(),
    };
    let unwritable = |error: &dyn Error| FileError::Write { path: to.to_owned(), reason: error.to_string() };
    let source = connection::reading(from, &Options::default()).map_err(unreadable)?;
    // The copy would begin anew with each write of others, had it no snapshot to read.
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
    // Nobody sees it until it is complete and synced.
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
            // Not to be expected: nobody else knows the copy, and readers do not wait for writers.
            _ => return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)),
        }
    }
    drop(backup);
    copy.close().map_err(|(_, error)| error)
}

/// Reads the whole SQLite database of a file and returns what is wrong with it, one fault a text: pages, indexes and search
/// that do not fit together, and rows that refer to others that are not there.
///
/// # Errors
/// [`FileError::Read`]: it is so broken that it cannot be checked, or it is no database.
pub fn check(path: &Path) -> Result<Vec<String>, FileError> {
    let faults = || -> rusqlite::Result<Vec<String>> {
        let connection = connection::reading(path, &Options::default())?;
        let mut faults: Vec<String> = Vec::new();
        connection.pragma(None, "integrity_check", MOST_FAULTS, |row| {
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
        for orphan in orphans.take(usize::from(MOST_FAULTS).saturating_sub(faults.len())) {
            faults.push(orphan?);
        }
        Ok(faults)
    };
    faults()
        .map_err(|error| FileError::Read { path: path.to_owned(), reason: reason(path, error).to_string() })
}
