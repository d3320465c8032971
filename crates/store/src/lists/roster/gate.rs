//! The gate of a roster: one transaction at a time may load, and others wait until it is done, up to a deadline. The lock is held
//! for moments, and by nobody who reads the database.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reeve_db::DbError;
use reeve_model::clock::monotonic;

/// The time after which a load counts as given up, so that another transaction may load.
const LEASE: Duration = Duration::from_secs(30);

/// The gate.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the last pass.
    last: u64,
    /// The time at which its lease is over; `None` if it was given back.
    until: Option<Instant>,
}

/// The right to load. It is given back when it is dropped, also by an error or a panic.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    number: u64,
}

impl Gate {
    /// Returns the right to load, as soon as nobody else has it.
    ///
    /// # Errors
    /// [`DbError::Timeout`]: somebody else has it at the deadline.
    pub(super) fn enter(&self, deadline: Instant) -> Result<Pass<'_>, DbError> {
        let mut state = self.lock();
        loop {
            let now = monotonic();
            let Some(until) = state.until.filter(|until| now < *until) else {
                state.last += 1;
                state.until = Some(now + LEASE);
                return Ok(Pass { gate: self, number: state.last });
            };
            if now >= deadline {
                return Err(DbError::Timeout);
            }
            let wait = until.min(deadline).saturating_duration_since(now);
            state = self.freed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        // Another transaction has the right, if this one had it for too long.
        if state.last == self.number {
            state.until = None;
            self.gate.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn is_open(gate: &Gate) -> bool {
        gate.enter(monotonic()).is_ok()
    }

    #[test]
    fn one_has_the_right_until_it_is_given_back() {
        let gate = Gate::default();
        let pass = gate.enter(monotonic()).unwrap();
        assert!(matches!(gate.enter(monotonic()), Err(DbError::Timeout)));
        drop(pass);
        assert!(is_open(&gate));
        let panicked: Result<(), _> = catch_unwind(AssertUnwindSafe(|| {
            let _pass = gate.enter(monotonic()).unwrap();
            panic!("a load fails");
        }));
        assert!(panicked.is_err());
        assert!(is_open(&gate));
    }

    #[test]
    fn a_load_that_takes_too_long_gives_way() {
        let gate = Gate::default();
        let slow = gate.enter(monotonic()).unwrap();
        gate.lock().until = Some(monotonic());
        let next = gate.enter(monotonic()).unwrap();
        // The slow one takes nothing away when it ends.
        drop(slow);
        assert!(!is_open(&gate));
        drop(next);
        assert!(is_open(&gate));
    }
}
