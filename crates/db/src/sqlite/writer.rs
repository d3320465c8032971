use std::time::Duration;

use rusqlite::Connection;

use crate::{
    DbError, Metrics, clock,
    queue::{Job, Kind, Queue, Role, Waiting},
    sqlite::reader::command,
    tx::{Link, Tx},
};

/// Maximum number of calls that share a commit.
const BATCH: usize = 256;

/// No further call joins a batch that took this long: callers wait for their results.
const BUDGET: Duration = Duration::from_millis(20);

/// Runs writes until the queue is closed. Those that wait together share one commit; no caller gets a result before
/// it.
pub(super) fn serve(connection: &Connection, queue: &Queue, metrics: &Metrics) {
    let writer = Writer { connection, queue, metrics };
    while let Some(Waiting { job, .. }) = queue.pop(Role::Writes) {
        if queue.has_write() {
            writer.together(job);
        } else {
            writer.alone(job);
        }
        if !connection.is_autocommit()
            && let Err(error) = command(connection, "ROLLBACK")
        {
            tracing::error!(%error, "a writing transaction did not end");
        }
    }
}

/// The state in which a call left its transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// It succeeded; its changes are to be kept.
    Kept,
    /// It failed before it changed anything.
    Clean,
    /// It failed; what it may have changed is to be rolled back.
    Dirty,
}

struct Writer<'w> {
    connection: &'w Connection,
    queue: &'w Queue,
    metrics: &'w Metrics,
}

impl Writer<'_> {
    /// Runs a call in a transaction of its own.
    fn alone(&self, mut job: Box<dyn Job>) {
        let done = self.command("BEGIN IMMEDIATE").and_then(|()| match self.run(&mut *job) {
            Ran::Kept => self.commit(1),
            Ran::Clean | Ran::Dirty => self.command("ROLLBACK"),
        });
        if let Err(error) = done {
            self.roll_back();
            job.fail(error);
        }
        job.answer();
    }

    /// Runs a call and those that wait behind it in one transaction. Most calls that fail have changed nothing, so that
    /// there is nothing of theirs to undo: only when one has, all begin again, each in a savepoint. A savepoint around
    /// every call would write the search index once for each.
    fn together(&self, first: Box<dyn Job>) {
        if self.command("BEGIN IMMEDIATE").is_err() {
            // Reports the reason to this caller, and leaves the others their own try.
            return self.alone(first);
        }
        let start = clock::now();
        let (mut jobs, mut apart) = (Vec::new(), false);
        let mut next = Some(first);
        while let Some(mut job) = next {
            let mut done = Ok(());
            if apart {
                done = self.savepoint(&mut *job);
                jobs.push(job);
            } else {
                apart = self.run(&mut *job) == Ran::Dirty;
                jobs.push(job);
                if apart {
                    done = self.again(&mut jobs);
                }
            }
            if let Err(error) = done.and_then(|()| self.check_open()) {
                self.roll_back();
                return fail_all(jobs, &error);
            }
            let open = jobs.len() < BATCH && clock::now().duration_since(start) < BUDGET;
            next = if open { self.queue.try_pop_write() } else { None };
        }
        match self.commit(jobs.len()) {
            Ok(()) => jobs.into_iter().for_each(Job::answer),
            Err(DbError::Constraint(_)) => {
                // A deferred constraint of one of them: run one by one, they show which.
                self.roll_back();
                for job in jobs {
                    self.alone(job);
                }
            }
            Err(error) => {
                self.roll_back();
                fail_all(jobs, &error);
            }
        }
    }

    /// Runs calls again in a new transaction, each in a savepoint.
    fn again(&self, jobs: &mut [Box<dyn Job>]) -> Result<(), DbError> {
        self.roll_back();
        self.command("BEGIN IMMEDIATE")?;
        jobs.iter_mut().try_for_each(|job| self.savepoint(&mut **job))
    }

    /// Runs one call of a batch. The error of a call is returned to its caller; the result here is that of the
    /// batch.
    fn savepoint(&self, job: &mut dyn Job) -> Result<(), DbError> {
        self.command("SAVEPOINT call")?;
        let ran = self.run(job);
        self.check_open()?;
        if ran == Ran::Dirty {
            self.command("ROLLBACK TO call")?;
        }
        self.command("RELEASE call")
    }

    /// Fails if SQLite has rolled back the whole transaction, as it does when the disk is full, for example.
    fn check_open(&self) -> Result<(), DbError> {
        if self.connection.is_autocommit() {
            return Err(DbError::Unavailable("the transaction was rolled back".into()));
        }
        Ok(())
    }

    fn run(&self, job: &mut dyn Job) -> Ran {
        let start = clock::now();
        let mut tx = Tx::new(Link::Sqlite(self.connection), Kind::Write, 0);
        let ok = job.run(&mut tx);
        let wrote = tx.wrote();
        let fault = tx.fault();
        let kept = ok && fault.is_none();
        if let Some(fault) = fault.filter(|_| ok) {
            job.fail(fault);
        }
        self.metrics.write.run.observe(clock::now().duration_since(start).as_secs_f64());
        match (kept, wrote) {
            (true, _) => Ran::Kept,
            (false, false) => Ran::Clean,
            (false, true) => Ran::Dirty,
        }
    }

    fn commit(&self, calls: usize) -> Result<(), DbError> {
        self.command("COMMIT").map_err(|error| match error {
            DbError::Constraint(_) => error,
            other => DbError::Unavailable(format!("the commit failed, its outcome is unknown: {other}")),
        })?;
        self.metrics.commits.inc();
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        self.metrics.batch.observe(calls as f64);
        Ok(())
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            drop(self.command("ROLLBACK"));
        }
    }

    fn command(&self, sql: &'static str) -> Result<(), DbError> {
        command(self.connection, sql)
    }
}

fn fail_all(jobs: Vec<Box<dyn Job>>, error: &DbError) {
    for mut job in jobs {
        job.fail(error.clone());
        job.answer();
    }
}
