use std::{
    cell::RefCell,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    connect::Server,
    session::{Session, failure},
};
use crate::{
    DbError, Metrics, clock,
    queue::{Job, Kind, Queue, Role, Waiting},
    tx::{Link, Tx},
};

/// Maximum number of tries of a call that conflicts with others, loses its connection, or violates a
/// constraint: a row that its snapshot does not show yet may be in its way, as often as others add one, and the
/// next snapshot shows it.
const TRIES: u32 = 12;

/// The number of tries after which a conflicting call excludes all other writes, those of other processes included.
const SHARED_TRIES: u32 = 5;

/// A write holds this advisory lock with others, or alone after [`SHARED_TRIES`] tries. Alone, it is taken before the
/// transaction begins, so that the snapshot shows what those who held it before have committed.
const BEGIN_WITH_OTHERS: &str =
    "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT pg_advisory_xact_lock_shared(4716204)";
const BEGIN_ALONE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";
const EXCLUDE_OTHERS: &str = "SELECT pg_advisory_lock(4716204)";
const ADMIT_OTHERS: &str = "SELECT pg_advisory_unlock(4716204)";

/// The pause after a failed connection, doubled after the next, up to [`MAX`].
const SHORTEST: Duration = Duration::from_millis(100);
const MAX: Duration = Duration::from_secs(5);

/// The state shared by the threads.
#[derive(Default)]
pub(super) struct Pool {
    /// Number of read-only threads with a connection.
    readers: AtomicUsize,
    /// Number of other threads with a connection.
    writers: AtomicUsize,
    /// Shared by writers. A call that lost too often takes it exclusively, so that of this process one at most waits for
    /// the lock of all processes.
    turn: RwLock<()>,
}

/// One thread of the pool.
pub(super) struct Worker {
    lane: i64,
    role: Role,
    server: Arc<Server>,
    pool: Arc<Pool>,
    queue: Arc<Queue>,
    metrics: Metrics,
    session: Option<RefCell<Session>>,
    outage: Option<Outage>,
}

/// The server does not respond.
struct Outage {
    reason: DbError,
    pause: Duration,
    until: Instant,
}

/// The result of one try.
enum Try {
    /// The job has its result; true if no statement of it failed.
    Done(bool),
    /// Nothing was changed; another try may succeed.
    Again(DbError),
}

impl Worker {
    pub(super) fn new(
        index: usize,
        role: Role,
        server: &Arc<Server>,
        pool: &Arc<Pool>,
        queue: &Arc<Queue>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            lane: i64::try_from(index).unwrap_or(i64::MAX),
            role,
            server: Arc::clone(server),
            pool: Arc::clone(pool),
            queue: Arc::clone(queue),
            metrics: metrics.clone(),
            session: None,
            outage: None,
        }
    }

    /// Runs calls until the queue is closed.
    pub(super) fn serve(mut self) {
        while let Some(mut waiting) = self.queue.pop(self.role) {
            match self.connect() {
                Ok(()) => self.call(waiting),
                Err(_) if self.others_serve(waiting.kind) && !self.queue.is_closed() => {
                    self.queue.put_back(waiting);
                    self.rest();
                }
                Err(error) => {
                    waiting.job.fail(error);
                    waiting.job.answer();
                }
            }
        }
        self.disconnect();
    }

    /// Runs a call; after a read also those that waited with it, in the same transaction. Its snapshot is taken
    /// after each of them was submitted, so each sees what was committed before.
    fn call(&mut self, waiting: Waiting) {
        let Waiting { kind, job, .. } = waiting;
        let began = clock::now();
        let mut sound = self.one(kind, job, false);
        if kind == Kind::Write {
            return;
        }
        while sound && let Some(job) = self.queue.try_pop_read(began) {
            sound = self.one(kind, job, true);
        }
        // No caller needs to wait for this.
        self.roll_back();
    }

    /// Runs one call and returns its result to the caller. For a read: returns true if the transaction, which
    /// may be `open` already, can serve further reads.
    fn one(&mut self, kind: Kind, mut job: Box<dyn Job>, mut open: bool) -> bool {
        let start = clock::now();
        let mut tries = 1;
        let sound = loop {
            let error = match self.take_turn(kind, &mut *job, tries, open) {
                Try::Done(sound) => break sound,
                Try::Again(error) => error,
            };
            open = false;
            if tries >= TRIES {
                job.fail(error);
                break false;
            }
            self.metrics.retries.inc();
            thread::sleep(pause(self.lane, tries));
            tries += 1;
        };
        let metrics = if kind == Kind::Read { &self.metrics.read } else { &self.metrics.write };
        metrics.run.observe(clock::now().duration_since(start).as_secs_f64());
        job.answer();
        sound
    }

    /// Runs the call in one transaction: a read at once, a write beside others or, at last, alone.
    fn take_turn(&mut self, kind: Kind, job: &mut dyn Job, tries: u32, open: bool) -> Try {
        let pool = Arc::clone(&self.pool);
        match kind {
            Kind::Read => self.attempt("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", kind, job, open),
            Kind::Write if tries <= SHARED_TRIES => {
                let _shared = pool.turn.read();
                self.attempt(BEGIN_WITH_OTHERS, kind, job, open)
            }
            Kind::Write => {
                let _alone = pool.turn.write();
                if let Err(error) = self.command(EXCLUDE_OTHERS) {
                    return Try::Again(error);
                }
                let outcome = self.attempt(BEGIN_ALONE, kind, job, open);
                // A connection that was lost has lost the lock, too.
                if self.session.is_some() {
                    self.command(ADMIT_OTHERS).ok();
                }
                outcome
            }
        }
    }

    /// Runs a statement outside of transactions.
    fn command(&mut self, sql: &str) -> Result<(), DbError> {
        self.connect()?;
        let Some(session) = &mut self.session else { return Err(DbError::Closed) };
        let done = session.get_mut().command(sql);
        if done.is_err() {
            self.disconnect();
        }
        done
    }

    /// Runs the call in one transaction, which `begin` begins unless it is `open` already. A reading transaction stays
    /// open.
    fn attempt(&mut self, begin: &str, kind: Kind, job: &mut dyn Job, open: bool) -> Try {
        if let Err(error) = self.connect() {
            job.fail(error);
            return Try::Done(false);
        }
        let lane = self.lane;
        let Some(cell) = &mut self.session else { return Try::Again(DbError::Closed) };
        if !open && let Err(error) = cell.get_mut().command(begin) {
            // Most often the server was restarted while the connection was idle.
            self.disconnect();
            return Try::Again(error);
        }
        let mut tx = Tx::new(Link::Postgres(cell), kind, lane);
        let ok = job.run(&mut tx);
        let fault = tx.fault();
        let session = cell.get_mut();
        if session.is_lost() {
            self.disconnect();
            return Try::Again(fault.unwrap_or(DbError::Closed));
        }
        if let Some(collision @ (DbError::Serialization | DbError::Constraint(_))) = &fault {
            let collision = collision.clone();
            self.roll_back();
            return Try::Again(collision);
        }
        let sound = fault.is_none();
        if let Some(fault) = fault.filter(|_| ok) {
            job.fail(fault);
        }
        match kind {
            Kind::Read => Try::Done(sound),
            Kind::Write if ok && sound => self.commit(job),
            Kind::Write => {
                self.roll_back();
                Try::Done(sound)
            }
        }
    }

    fn commit(&mut self, job: &mut dyn Job) -> Try {
        let Some(session) = self.session.as_mut().map(RefCell::get_mut) else {
            return Try::Again(DbError::Closed);
        };
        match session.command("COMMIT") {
            Ok(()) => {
                self.metrics.commits.inc();
                self.metrics.batch.observe(1.0);
            }
            Err(DbError::Serialization) => return Try::Again(DbError::Serialization),
            Err(error) if session.is_lost() => {
                self.disconnect();
                job.fail(DbError::Unavailable(format!("the commit failed, its outcome is unknown: {error}")));
            }
            Err(error) => job.fail(error),
        }
        Try::Done(true)
    }

    /// Rolls a transaction back. If that fails, the server ends it with the connection.
    fn roll_back(&mut self) {
        if let Some(session) = &mut self.session
            && session.get_mut().command("ROLLBACK").is_err()
        {
            self.disconnect();
        }
    }

    /// Connects, unless there is a connection, or there was an outage just now.
    fn connect(&mut self) -> Result<(), DbError> {
        if self.session.is_some() {
            return Ok(());
        }
        let now = clock::now();
        if let Some(outage) = self.outage.as_ref().filter(|outage| now < outage.until) {
            return Err(outage.reason.clone());
        }
        match self.server.connect() {
            Ok(client) => {
                if self.outage.take().is_some() {
                    tracing::info!("the database is back");
                }
                self.session = Some(RefCell::new(Session::new(client)));
                self.count().fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                let reason = match failure(&error) {
                    unavailable @ DbError::Unavailable(_) => unavailable,
                    other => DbError::Unavailable(other.to_string()),
                };
                tracing::warn!(error = %reason, "cannot reach the database");
                let pause = self.outage.as_ref().map_or(SHORTEST, |outage| MAX.min(outage.pause * 2));
                self.outage = Some(Outage { reason: reason.clone(), pause, until: clock::now() + pause });
                Err(reason)
            }
        }
    }

    fn disconnect(&mut self) {
        if self.session.take().is_some() {
            self.count().fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn count(&self) -> &AtomicUsize {
        if self.role == Role::Reads { &self.pool.readers } else { &self.pool.writers }
    }

    /// Returns true if another thread can take such a call. Then a refused connection (the server may have reached
    /// its limit) is no reason to fail it.
    fn others_serve(&self, kind: Kind) -> bool {
        let writers = self.pool.writers.load(Ordering::Relaxed);
        writers > 0 || (kind == Kind::Read && self.pool.readers.load(Ordering::Relaxed) > 0)
    }

    /// Leaves the queue to the others until the next try to connect.
    fn rest(&self) {
        while let Some(outage) = &self.outage
            && clock::now() < outage.until
            && !self.queue.is_closed()
        {
            thread::sleep(SHORTEST);
        }
    }
}

/// Returns the pause before the next try: about 1 ms, doubling up to some 100 ms, and different for each thread and
/// try, so that conflicting calls separate.
fn pause(lane: i64, tries: u32) -> Duration {
    let longest = 1000_u64 << tries.min(7);
    let mixed = (lane.unsigned_abs() * 64 + u64::from(tries) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    Duration::from_micros(longest / 4 + mixed % longest)
}
