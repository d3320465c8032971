//! Requests that replace each other.
//!
//! A client that gives up a request and sends another one expects a response to the last one only. The others may still
//! wait here, and must not change the state that the last one builds upon.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reeve_model::UserNum;
use tokio::sync::Notify;

/// The requests that replace each other have one key: an account, one of its devices, and a name that the device chose.
type Key = (UserNum, String, String);

/// The last request with each key in this process.
#[derive(Default)]
pub struct Replaceable {
    last: Mutex<HashMap<Key, (u64, Arc<Notify>)>>,
    next: AtomicU64,
}

impl Replaceable {
    /// Begins a request in place of the former ones.
    pub fn begin(self: &Arc<Self>, user_num: UserNum, device_id: &str, name: &str) -> Replacing {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (key, replaced) = ((user_num, device_id.to_owned(), name.to_owned()), Arc::new(Notify::new()));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, before)) = last.insert(key.clone(), (number, Arc::clone(&replaced))) {
            before.notify_one();
        }
        drop(last);
        Replacing { replaceable: Arc::clone(self), key, number, replaced }
    }
}

/// One request, until it ends.
pub struct Replacing {
    replaceable: Arc<Replaceable>,
    key: Key,
    number: u64,
    replaced: Arc<Notify>,
}

impl Replacing {
    /// Returns true if no other request has begun in its place.
    pub fn is_last(&self) -> bool {
        let last = self.replaceable.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&self.key).is_some_and(|(number, _)| *number == self.number)
    }

    /// Waits until another request begins in its place.
    pub async fn replaced(&self) {
        self.replaced.notified().await;
    }
}

impl Drop for Replacing {
    fn drop(&mut self) {
        let mut last = self.replaceable.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            last.remove(&self.key);
        }
    }
}
