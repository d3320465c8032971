use rusqlite::Connection;

use crate::{
    DbError, Metrics, clock,
    queue::{Job, Kind, Queue, Role, Waiting},
    sqlite::connection::failure,
    tx::{Link, Tx},
};

/// Runs reads until the queue is closed. Those that wait together share one snapshot: it begins after each of
/// them was submitted, so each sees what was committed before.
pub(super) fn serve(connection: &Connection, queue: &Queue, metrics: &Metrics) {
    while let Some(Waiting { job, .. }) = queue.pop(Role::Reads) {
        let began = clock::now();
        let begun = command(connection, "BEGIN DEFERRED");
        let mut next = Some(job);
        while let Some(job) = next {
            run(connection, metrics, job, begun.clone());
            // A failure may end the transaction.
            next = if connection.is_autocommit() { None } else { queue.try_pop_read(began) };
        }
        if !connection.is_autocommit()
            && let Err(error) = command(connection, "ROLLBACK")
        {
            tracing::error!(%error, "a reading transaction did not end");
        }
    }
}

fn run(connection: &Connection, metrics: &Metrics, mut job: Box<dyn Job>, begun: Result<(), DbError>) {
    let start = clock::now();
    match begun {
        Ok(()) => {
            let mut tx = Tx::new(Link::Sqlite(connection), Kind::Read, 0);
            let ok = job.run(&mut tx);
            if let Some(fault) = tx.fault().filter(|_| ok) {
                job.fail(fault);
            }
        }
        Err(error) => job.fail(error),
    }
    metrics.read.run.observe(clock::now().duration_since(start).as_secs_f64());
    // Nothing can fail for the caller any more.
    job.answer();
}

/// Runs a transaction statement.
pub(crate) fn command(connection: &Connection, sql: &'static str) -> Result<(), DbError> {
    connection.prepare_cached(sql).and_then(|mut prepared| prepared.raw_execute()).map(drop).map_err(failure)
}
