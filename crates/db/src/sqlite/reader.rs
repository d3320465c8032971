use rusqlite::Connection;

use crate::{
    DbError, Metrics, clock,
    queue::{Queue, Role, Waiting},
    sqlite::connection::failure,
    tx::{Link, Tx},
};

/// Runs reads, each in a snapshot of its own, until the queue is closed.
pub(super) fn serve(connection: &Connection, queue: &Queue, metrics: &Metrics) {
    while let Some(Waiting { mut job, .. }) = queue.pop(Role::Reads) {
        let start = clock::now();
        match command(connection, "BEGIN DEFERRED") {
            Ok(()) => {
                let mut tx = Tx::new(Link::Sqlite(connection), 0);
                let ok = job.run(&mut tx);
                if let Some(fault) = tx.fault().filter(|_| ok) {
                    job.fail(fault);
                }
            }
            Err(error) => job.fail(error),
        }
        metrics.read.run.observe(clock::now().duration_since(start).as_secs_f64());
        // Nothing can go wrong any more for the caller.
        job.answer();
        if !connection.is_autocommit()
            && let Err(error) = command(connection, "ROLLBACK")
        {
            tracing::error!(%error, "a reading transaction did not end");
        }
    }
}

/// Runs a statement about transactions.
pub(super) fn command(connection: &Connection, sql: &'static str) -> Result<(), DbError> {
    connection.prepare_cached(sql).and_then(|mut prepared| prepared.raw_execute()).map(drop).map_err(failure)
}
