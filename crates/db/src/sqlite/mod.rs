//! SQLite: one writing thread, several reading threads and one that checkpoints the log, each with its own connection.

mod connection;
mod file;
mod reader;
mod statement;
mod writer;

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use crate::{
    DatabaseUrl, Metrics, Migration, OpenError, Options, Schema, db::Threads, migrate, queue::Queue,
};

pub use file::{FileError, backup, check};
pub(crate) use reader::command;
pub(crate) use statement::{column, each, execute, prepare};

/// Opens the file, migrates it and starts the threads.
pub(crate) fn open(
    path: &Path,
    options: &Options,
    migrations: &'static [Migration],
    queue: &Arc<Queue>,
    metrics: &Metrics,
) -> Result<Threads, OpenError> {
    let url = DatabaseUrl::Sqlite(path.to_owned());
    let refused = |reason: String| OpenError::Connect { url: url.to_string(), reason };
    let there = file::exists(path).map_err(|error| refused(error.to_string()))?;
    match (there, options.schema) {
        (true, _) => {}
        (false, Schema::Create) => file::create(path).map_err(|error| refused(error.to_string()))?,
        (false, Schema::Migrate | Schema::UpToDate) => {
            return Err(OpenError::Missing { url: url.to_string() });
        }
    }
    let mut connection = connection::open(path).map_err(|error| refused(error.to_string()))?;
    // The file may be that of another program, so this comes first.
    let applied = connection::applied(&connection).map_err(|error| refused(error.to_string()))?;
    let is_wanted = migrate::is_wanted(options.schema, migrations, applied.as_ref(), &url)?;
    connection::set_up(&connection, options).map_err(|error| refused(error.to_string()))?;
    if is_wanted {
        connection::migrate(&mut connection, migrations)?;
    }
    let start = |name: String| thread::Builder::new().name(name);

    // The queue is closed if a thread does not start, so that those before it end.
    let started = (|| {
        let mut readers = Vec::new();
        for index in 0..options.readers.max(1) {
            let connection =
                connection::reading(path, options).map_err(|error| refused(error.to_string()))?;
            let (queue, metrics) = (Arc::clone(queue), metrics.clone());
            let reader = start(format!("db-read-{index}"))
                .spawn(move || reader::serve(&connection, &queue, &metrics))
                .map_err(|error| refused(error.to_string()))?;
            readers.push(reader);
        }
        let (due, is_due) = mpsc::sync_channel(1);
        let second = connection::open(path).map_err(|error| refused(error.to_string()))?;
        connection::set_up(&second, options).map_err(|error| refused(error.to_string()))?;
        let checkpointer = start("db-checkpoint".into())
            .spawn(move || connection::checkpoint(&second, &is_due))
            .map_err(|error| refused(error.to_string()))?;
        connection::watch_log(&mut connection, due).map_err(|error| refused(error.to_string()))?;
        let (queue, metrics) = (Arc::clone(queue), metrics.clone());
        let writer = start("db-write".into())
            .spawn(move || {
                writer::serve(&connection, &queue, &metrics);
                connection
            })
            .map_err(|error| refused(error.to_string()))?;
        Ok((readers, checkpointer, writer))
    })();
    let (readers, checkpointer, writer) = started.inspect_err(|_| queue.close())?;

    Ok(Box::new(move || {
        for reader in readers {
            drop(reader.join());
        }
        if let Ok(mut connection) = writer.join() {
            if connection::unwatch_log(&mut connection).is_ok() {
                drop(checkpointer.join());
            }
            // The last connection, so that nothing prevents the checkpoint of the log.
            connection::finish(connection);
        }
    }))
}
