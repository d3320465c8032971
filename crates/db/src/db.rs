use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::sync::{Mutex, oneshot};

use crate::{
    Channel, DatabaseUrl, DbError, Engine, Listener, Metrics, Migration, OpenError, ReadTx, Statement, Tx,
    channel::Channels,
    postgres,
    queue::{Job, Kind, Queue},
    sqlite,
    tx::AfterCommit,
};

/// The changes that opening a database may make to its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Creates the database if there is none, and applies missing migrations.
    Create,
    /// Applies missing migrations to an existing database.
    Migrate,
    /// Changes nothing: the database must exist and have all migrations.
    UpToDate,
}

/// The options of a database, including the resources that it may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// The changes that opening may make to the schema.
    pub schema: Schema,
    /// SQLite: number of reading threads. (One more writes.)
    pub readers: usize,
    /// PostgreSQL: number of threads, each with one connection. Half of them only read, the others write and
    /// read.
    pub connections: usize,
    /// Maximum number of waiting reads, and of waiting writes; further ones fail with [`DbError::Overloaded`].
    pub queue: usize,
    /// Maximum time that a call waits in the queue; after that it fails with [`DbError::Timeout`] instead of
    /// running.
    pub wait: Duration,
    /// SQLite: page cache of each connection in KiB.
    pub cache_kib: i64,
    /// SQLite: true to sort data beyond the page cache in temporary files instead of memory.
    pub sort_in_files: bool,
}

impl Default for Options {
    fn default() -> Self {
        let readers = thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        Self {
            schema: Schema::Create,
            readers,
            connections: 8,
            queue: 4096,
            wait: Duration::from_secs(10),
            cache_kib: 16 * 1024,
            sort_in_files: false,
        }
    }
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    engine: Engine,
    queue: Arc<Queue>,
    metrics: Metrics,
    channels: Arc<Channels>,
    threads: Mutex<Option<Threads>>,
}

/// A function that blocks until the threads have ended.
pub(crate) type Threads = Box<dyn FnOnce() + Send>;

impl Db {
    /// Opens the database and, as far as [`Options::schema`] allows, brings its schema up to date, under a lock that
    /// other processes respect.
    ///
    /// # Errors
    /// [`OpenError`]: missing, unreachable, migrated by a newer program, not migrated yet, or a migration failed.
    pub async fn open(
        url: &DatabaseUrl,
        options: Options,
        migrations: &'static [Migration],
    ) -> Result<Self, OpenError> {
        let url = url.clone();
        let (send, receive) = oneshot::channel();
        // Both engines block while they open.
        let opener = thread::Builder::new().name("db-open".into()).spawn(move || {
            drop(send.send(Self::open_blocking(&url, &options, migrations)));
        });
        match opener {
            Ok(_) => receive.await.unwrap_or_else(|_| Err(OpenError::Unsupported("a thread died".into()))),
            Err(error) => Err(OpenError::Unsupported(format!("cannot start a thread: {error}"))),
        }
    }

    fn open_blocking(
        url: &DatabaseUrl,
        options: &Options,
        migrations: &'static [Migration],
    ) -> Result<Self, OpenError> {
        let metrics = Metrics::new();
        let queue = Arc::new(Queue::new(options.queue, options.wait, metrics.clone()));
        let threads = match url {
            DatabaseUrl::Sqlite(path) => sqlite::open(path, options, migrations, &queue, &metrics)?,
            DatabaseUrl::Postgres(address) => {
                postgres::open(url, address, options, migrations, &queue, &metrics)?
            }
        };
        Ok(Self(Arc::new(Inner {
            engine: url.engine(),
            queue,
            metrics,
            channels: Arc::default(),
            threads: Mutex::new(Some(threads)),
        })))
    }

    /// Returns the engine behind it.
    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    /// Runs a closure in a reading transaction, on a database thread.
    ///
    /// The closure may run more than once (a lost connection), so it does nothing but read. It sees everything
    /// that was committed before the call.
    ///
    /// # Errors
    /// The closure's error, or any [`DbError`] that kept it from running or lost its transaction.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: Fn(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.call(Kind::Read, move |tx: &mut Tx<'_>| f(tx)).await
    }

    /// Runs a closure in a writing transaction, on a database thread, and returns once it is durable. An error or
    /// a panic of the closure rolls it back.
    ///
    /// The closure may run more than once (a collision with another transaction, a lost connection), so it
    /// touches nothing but its `Tx`. It runs even if the caller stops waiting.
    ///
    /// # Errors
    /// The closure's error, or any [`DbError`] that kept it from running or lost its transaction.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.call(Kind::Write, f).await
    }

    /// Listens, from now on, to the transactions of this process that notify a channel. Writes by other processes give
    /// no notification.
    pub fn listen(&self, channel: Channel) -> Listener {
        self.0.channels.listen(channel)
    }

    async fn call<T, E, F>(&self, kind: Kind, f: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let channels = Arc::clone(&self.0.channels);
        let call = Call { f, result: None, reply, notified: Vec::new(), after_commit: Vec::new(), channels };
        if let Err((_, refusal)) = self.0.queue.push(kind, Box::new(call)) {
            return Err(refusal.into());
        }
        result.await.unwrap_or_else(|_| Err(DbError::Internal("a database thread died".into()).into()))
    }

    /// Refuses further calls, finishes those that wait, and closes every connection. Returns when all is done;
    /// later calls fail with [`DbError::Closed`].
    pub async fn close(&self) {
        self.0.queue.close();
        // Held while waiting, so that a second caller waits too.
        let mut threads = self.0.threads.lock().await;
        let Some(join) = threads.take() else { return };
        let (send, receive) = oneshot::channel();
        let closer = thread::Builder::new().name("db-close".into()).spawn(move || {
            join();
            let _: Result<(), ()> = send.send(());
        });
        if closer.is_ok() {
            drop(receive.await);
        }
    }

    /// Returns the metrics of the database.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Prepares each statement; returns the names of those that the engine refuses, with the reasons. For the
    /// test that checks all SQL on both engines.
    pub async fn prepare(&self, statements: &[&'static Statement]) -> Vec<(&'static str, DbError)> {
        let mut refused = Vec::new();
        for &statement in statements {
            if let Err(error) = self.read::<_, DbError, _>(move |tx| tx.prepare(statement)).await {
                refused.push((statement.name(), error));
            }
        }
        refused
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // No call can be made any more; the threads end by themselves.
        self.queue.close();
    }
}

struct Call<T, E, F> {
    f: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    /// The channels that the last run of the closure notified.
    notified: Vec<Channel>,
    /// The functions that the last run of the closure left for after the commit.
    after_commit: Vec<AfterCommit>,
    channels: Arc<Channels>,
}

impl<T, E, F> Job for Call<T, E, F>
where
    F: Fn(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<DbError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let result = catch_unwind(AssertUnwindSafe(|| (self.f)(tx)))
            .unwrap_or_else(|_| Err(DbError::Internal("a closure panicked".into()).into()));
        let ok = result.is_ok();
        self.notified = tx.take_notified();
        self.after_commit = tx.take_after_commit();
        self.result = Some(result);
        ok
    }

    fn fail(&mut self, error: DbError) {
        self.result = Some(Err(error.into()));
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            if result.is_ok() {
                self.after_commit.into_iter().for_each(|f| f());
                self.channels.notify(&self.notified);
            }
            // The caller may have stopped waiting.
            drop(self.reply.send(result));
        }
    }
}
