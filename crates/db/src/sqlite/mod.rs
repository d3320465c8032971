//! SQLite: one thread that writes, several that read, each with a connection of its own.

mod connection;
mod file;
mod reader;
mod statement;
mod writer;

use std::{path::Path, sync::Arc, thread};

use crate::{DatabaseUrl, Metrics, Migration, OpenError, Options, db::Threads, queue::Queue};

pub use file::{FileError, backup, check};
pub(crate) use statement::{column, each, execute, prepare};

/// Opens the file, migrates it and starts the threads.
pub(crate) fn open(
    path: &Path,
    options: &Options,
    migrations: &'static [Migration],
    queue: &Arc<Queue>,
    metrics: &Metrics,
) -> Result<Threads, OpenError> {
    let refused = |error: String| OpenError::Connect {
        url: DatabaseUrl::Sqlite(path.to_owned()).to_string(),
        reason: error,
    };
    let mut connection = connection::writing(path, options).map_err(|error| refused(error.to_string()))?;
    connection::migrate(&mut connection, migrations)?;
    let start = |name: String| thread::Builder::new().name(name);

    // Should a thread not start, the queue is closed and those before it end.
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
        let (queue, metrics) = (Arc::clone(queue), metrics.clone());
        let writer = start("db-write".into())
            .spawn(move || {
                writer::serve(&connection, &queue, &metrics);
                connection
            })
            .map_err(|error| refused(error.to_string()))?;
        Ok((readers, writer))
    })();
    let (readers, writer) = started.inspect_err(|_| queue.close())?;

    Ok(Box::new(move || {
        for reader in readers {
            drop(reader.join());
        }
        // Last of all connections, so that nothing keeps the log from being folded into the file.
        if let Ok(connection) = writer.join() {
            connection::finish(connection);
        }
    }))
}
