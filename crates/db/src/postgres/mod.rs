//! PostgreSQL: a pool of threads, each with its own connection.

mod connect;
mod convert;
mod session;
mod tls;
mod worker;

use std::{sync::Arc, thread};

use crate::{
    DatabaseUrl, Metrics, Migration, OpenError, Options,
    db::Threads,
    queue::{Queue, Role},
};

use self::{
    connect::Server,
    worker::{Pool, Worker},
};

pub(crate) use self::{convert::column, session::Session};

/// Connects to the server, migrates the database and starts the threads, which connect when they are needed.
pub(crate) fn open(
    url: &DatabaseUrl,
    address: &str,
    options: &Options,
    migrations: &'static [Migration],
    queue: &Arc<Queue>,
    metrics: &Metrics,
) -> Result<Threads, OpenError> {
    let refused = |reason: String| OpenError::Connect { url: url.to_string(), reason };
    let server = Arc::new(Server::new(address).map_err(refused)?);
    server.migrate(options.schema, migrations, url, &refused)?;

    let count = options.connections.max(1);
    let pool = Arc::new(Pool::default());
    let mut threads = Vec::new();
    for index in 0..count {
        // Writes that wait for locks leave the other half to the reads.
        let role = if index < count.div_ceil(2) { Role::Both } else { Role::Reads };
        let worker = Worker::new(index, role, &server, &pool, queue, metrics);
        let thread = thread::Builder::new().name(format!("db-{index}")).spawn(move || worker.serve());
        threads.push(thread.map_err(|error| {
            queue.close();
            refused(error.to_string())
        })?);
    }
    Ok(Box::new(move || threads.into_iter().for_each(|thread| drop(thread.join()))))
}
