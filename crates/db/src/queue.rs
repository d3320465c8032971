//! The queue of calls that wait for a database thread.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{DbError, Metrics, clock, metrics::CallMetrics, tx::Tx};

/// One call: a closure, and the caller that waits for its result.
pub(crate) trait Job: Send {
    /// Runs the closure and keeps its result; returns true for `Ok`. May be called again: the last result
    /// counts.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Replaces the result.
    fn fail(&mut self, error: DbError);
    /// Returns the result to the caller.
    fn answer(self: Box<Self>);
}

/// The kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// The calls that a database thread takes from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads only.
    Reads,
    /// Writes only.
    Writes,
    /// Writes first, and reads while there are none.
    Both,
}

/// A bounded queue per kind of call. It measures how long each waited, and refuses calls that waited too long.
pub(crate) struct Queue {
    state: Mutex<State>,
    readers: Condvar,
    writers: Condvar,
    bound: usize,
    patience: Duration,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    reads: VecDeque<Waiting>,
    writes: VecDeque<Waiting>,
    idle_readers: usize,
    idle_writers: usize,
    idle_both: usize,
    closed: bool,
}

/// One call in the queue.
pub(crate) struct Waiting {
    pub(crate) kind: Kind,
    pub(crate) job: Box<dyn Job>,
    since: Instant,
}

impl Queue {
    pub(crate) fn new(bound: usize, patience: Duration, metrics: Metrics) -> Self {
        Self {
            state: Mutex::default(),
            readers: Condvar::new(),
            writers: Condvar::new(),
            bound,
            patience,
            metrics,
        }
    }

    /// Adds a call. A refused one is returned with the reason.
    pub(crate) fn push(&self, kind: Kind, job: Box<dyn Job>) -> Result<(), (Box<dyn Job>, DbError)> {
        let mut state = self.lock();
        if state.closed {
            return Err((job, DbError::Closed));
        }
        if state.of(kind).len() >= self.bound {
            return Err((job, DbError::Overloaded));
        }
        state.of(kind).push_back(Waiting { kind, job, since: clock::now() });
        self.metrics_of(kind).queued.inc();
        let (readers, writers) = match kind {
            Kind::Write => (false, state.idle_writers + state.idle_both > 0),
            // Each waiting read without an idle reader may wake a thread that serves both.
            Kind::Read => {
                (state.idle_readers > 0, state.reads.len() > state.idle_readers && state.idle_both > 0)
            }
        };
        // The woken thread needs the lock.
        drop(state);
        if readers {
            self.readers.notify_one();
        }
        if writers {
            self.writers.notify_one();
        }
        Ok(())
    }

    /// Waits for the next call. `None` once the queue is closed and empty.
    pub(crate) fn pop(&self, role: Role) -> Option<Waiting> {
        let mut state = self.lock();
        loop {
            if let Some(waiting) = state.take(role) {
                drop(state);
                if let Some(admitted) = self.admit(waiting) {
                    return Some(admitted);
                }
                state = self.lock();
            } else if state.closed {
                return None;
            } else {
                let condvar = if role == Role::Reads { &self.readers } else { &self.writers };
                *state.idle(role) += 1;
                state = condvar.wait(state).unwrap_or_else(PoisonError::into_inner);
                *state.idle(role) -= 1;
            }
        }
    }

    /// Returns the next write, if one waits.
    pub(crate) fn try_pop_write(&self) -> Option<Box<dyn Job>> {
        loop {
            let waiting = self.lock().take(Role::Writes)?;
            if let Some(admitted) = self.admit(waiting) {
                return Some(admitted.job);
            }
        }
    }

    /// Returns the next read, if it was already waiting at this time.
    pub(crate) fn try_pop_read(&self, at: Instant) -> Option<Box<dyn Job>> {
        loop {
            let waiting = self.lock().reads.pop_front_if(|waiting| waiting.since <= at)?;
            if let Some(admitted) = self.admit(waiting) {
                return Some(admitted.job);
            }
        }
    }

    /// Puts a call back, not run, for another thread to take.
    pub(crate) fn put_back(&self, waiting: Waiting) {
        let kind = waiting.kind;
        self.lock().of(kind).push_front(waiting);
        self.metrics_of(kind).queued.inc();
        if kind == Kind::Read {
            self.readers.notify_one();
        }
        self.writers.notify_one();
    }

    /// Returns true if a write waits.
    pub(crate) fn has_write(&self) -> bool {
        !self.lock().writes.is_empty()
    }

    /// Returns true if [`Self::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Refuses further calls. Waiting calls are still served.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.readers.notify_all();
        self.writers.notify_all();
    }

    /// Returns the call, unless it waited too long.
    fn admit(&self, mut waiting: Waiting) -> Option<Waiting> {
        let metrics = self.metrics_of(waiting.kind);
        metrics.queued.dec();
        let waited = clock::now().duration_since(waiting.since);
        metrics.wait.observe(waited.as_secs_f64());
        if waited <= self.patience {
            return Some(waiting);
        }
        waiting.job.fail(DbError::Timeout);
        waiting.job.answer();
        None
    }

    fn metrics_of(&self, kind: Kind) -> &CallMetrics {
        match kind {
            Kind::Read => &self.metrics.read,
            Kind::Write => &self.metrics.write,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&mut self, kind: Kind) -> &mut VecDeque<Waiting> {
        match kind {
            Kind::Read => &mut self.reads,
            Kind::Write => &mut self.writes,
        }
    }

    fn take(&mut self, role: Role) -> Option<Waiting> {
        match role {
            Role::Reads => self.reads.pop_front(),
            Role::Writes => self.writes.pop_front(),
            Role::Both => self.writes.pop_front().or_else(|| self.reads.pop_front()),
        }
    }

    fn idle(&mut self, role: Role) -> &mut usize {
        match role {
            Role::Reads => &mut self.idle_readers,
            Role::Writes => &mut self.idle_writers,
            Role::Both => &mut self.idle_both,
        }
    }
}
