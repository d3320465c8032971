//! Objects in the store that no upload refers to, as far as this process made them.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{MutexGuard, Notify};

/// Objects of interrupted uploads, which wait for a sweep.
#[derive(Default)]
pub(crate) struct Orphans {
    objects: Mutex<Vec<String>>,
    sweep_lock: tokio::sync::Mutex<()>,
    noticed: Notify,
}

impl Orphans {
    /// Adds an object without waking the sweeper.
    pub(crate) fn note(&self, object: String) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).push(object);
    }

    pub(crate) fn pop(&self) -> Option<String> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Waits until no other sweep runs in this process; none begins while the guard is held.
    pub(crate) async fn sweeping(&self) -> MutexGuard<'_, ()> {
        self.sweep_lock.lock().await
    }

    /// Waits until there may be something to sweep.
    pub(crate) async fn noticed(&self) {
        self.noticed.notified().await;
    }

    /// Wakes the sweeper.
    pub(crate) fn wake_sweeper(&self) {
        self.noticed.notify_one();
    }
}

/// A guard for an object in the store. If it is dropped before it is settled, the object is queued for deletion.
pub(crate) struct OrphanGuard {
    orphans: Arc<Orphans>,
    object: String,
    settled: bool,
}

impl OrphanGuard {
    pub(crate) fn new(orphans: Arc<Orphans>, object: String) -> Self {
        Self { orphans, object, settled: false }
    }

    /// The name of the object.
    pub(crate) fn object(&self) -> &str {
        &self.object
    }

    /// Settles the guard: the bytes belong to an upload now, or are known not to be stored.
    pub(crate) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for OrphanGuard {
    fn drop(&mut self) {
        if !self.settled {
            self.orphans.note(std::mem::take(&mut self.object));
            self.orphans.wake_sweeper();
        }
    }
}
