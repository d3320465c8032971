//! A fair limiter: bounded concurrent work, with a smaller bound for each requester, so that none takes all
//! permits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Maximum time to wait for a permit.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Maximum length of the common queue: further requests are refused.
const MAX_WAITING: i64 = 200;
/// Maximum number of remembered requesters without requests.
const MAX_IDLE: usize = 1000;

/// The limiter.
pub(crate) struct FairLimiter {
    each: usize,
    of: Mutex<HashMap<String, Arc<Semaphore>>>,
    all: Arc<Semaphore>,
    waiting: Gauge,
}

/// A permit, or a place in the queue.
pub(crate) struct Permit {
    limiter: Arc<FairLimiter>,
    _own: OwnedSemaphorePermit,
    common: Option<OwnedSemaphorePermit>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.waiting.dec();
    }
}

impl FairLimiter {
    /// At most `all` permits at a time, and at most `each` held or queued per requester; further requests of
    /// the same requester wait outside the common queue.
    pub(crate) fn new(all: usize, each: usize) -> Arc<Self> {
        let (of, waiting) = (Mutex::default(), Gauge::default());
        Arc::new(Self { each, of, all: Arc::new(Semaphore::new(all.max(1))), waiting })
    }

    /// The number of permits held and of requests in the common queue.
    pub(crate) fn waiting(&self) -> &Gauge {
        &self.waiting
    }

    /// Waits for a permit. It is held until it is dropped.
    pub(crate) async fn take(self: &Arc<Self>, who: &str) -> Result<Permit, Error> {
        let line = async {
            let own = self.of(who).acquire_owned().await.map_err(Error::store)?;
            let waiting = self.waiting.inc();
            let mut permit = Permit { limiter: Arc::clone(self), _own: own, common: None };
            if waiting >= MAX_WAITING {
                return Err(Error::Busy);
            }
            permit.common = Some(Arc::clone(&self.all).acquire_owned().await.map_err(Error::store)?);
            Ok(permit)
        };
        tokio::time::timeout(MAX_WAIT, line).await.map_err(|_| Error::Busy)?
    }

    fn of(&self, who: &str) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = of.get(who) {
            return Arc::clone(own);
        }
        if of.len() >= MAX_IDLE {
            of.retain(|_, own| Arc::strong_count(own) > 1);
        }
        let own = Arc::new(Semaphore::new(self.each));
        of.insert(who.to_owned(), Arc::clone(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn nobody_takes_all() {
        let limiter = FairLimiter::new(3, 2);
        let first = limiter.take("a").await.unwrap();
        let _second = limiter.take("a").await.unwrap();
        // A third request waits, without blocking others.
        assert!(limiter.take("a").now_or_never().is_none());
        let _other = limiter.take("b").await.unwrap();
        assert_eq!(limiter.waiting().get(), 3);
        assert!(limiter.take("c").now_or_never().is_none(), "there are three permits");
        drop(first);
        assert!(limiter.take("c").now_or_never().is_some_and(|permit| permit.is_ok()));
        assert_eq!(limiter.waiting().get(), 2);
    }

    #[tokio::test]
    async fn who_is_idle_is_forgotten() {
        let limiter = FairLimiter::new(1, 1);
        let _permit = limiter.take("busy").await.unwrap();
        for idle in 0..MAX_IDLE * 2 {
            limiter.of(&idle.to_string());
        }
        assert!(limiter.of.lock().unwrap().len() <= MAX_IDLE);
        assert!(limiter.take("busy").now_or_never().is_none(), "who is busy is not");
    }
}
