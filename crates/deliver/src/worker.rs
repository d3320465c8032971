//! The worker: claims due deliveries of a kind, and takes each through its steps.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError, Tx};
use reeve_model::{Clock, Millis, random};
use reeve_store::deliveries::{self, Claim, Claimed};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::kind::{End, Kind, Outcome, Plan, Then};
use crate::metrics::Metrics;

/// Interval at which due deliveries are looked up without a notification: finds retries, and marks of other processes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The lease of a claim, in milliseconds. A worker that makes no progress in this time counts as dead, and another claims
/// the delivery.
const LEASE_MS: i64 = 120_000;
/// Maximum time to send a message: it ends well before the lease, so that no other worker sends at the same time.
const SEND_WITHIN: Duration = Duration::from_secs(90);

type ClaimOf<K> = Claim<<K as Kind>::Target>;
type ClaimedOf<K> = Claimed<<K as Kind>::Target, <K as Kind>::Cursor>;

/// The worker of this process for a kind of delivery.
pub struct Worker<K> {
    kind: K,
    db: Db,
    clock: Clock,
    metrics: Metrics,
}

/// A step, as it was planned.
struct Planned<K: Kind> {
    plan: Plan<K>,
    /// The number of marks at the time of planning.
    marks: i64,
}

impl<K: Kind> Worker<K> {
    /// A worker that does nothing until [`Worker::run`].
    pub fn new(kind: K, db: Db, clock: Clock) -> Self {
        Self { kind, db, clock, metrics: Metrics::default() }
    }

    /// Registers the metrics of the kind.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry, K::KIND);
    }

    /// Delivers until stopped; then deliveries in progress are released, and other workers may claim them at once.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut marked = self.db.listen(deliveries::MARKED);
        let mut working = JoinSet::new();
        loop {
            while working.try_join_next().is_some() {}
            let free = K::MAX_CONCURRENT.saturating_sub(working.len());
            let claimed = self.claim(free).await.unwrap_or_else(|error| {
                tracing::warn!(%error, kind = %K::KIND, "due deliveries cannot be claimed");
                Vec::new()
            });
            for claimed in claimed {
                working.spawn(Arc::clone(&self).deliver(claimed, stop.clone()));
            }
            self.metrics.active.set(i64::try_from(working.len()).unwrap_or(i64::MAX));
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                () = marked.notified() => {}
                Some(_) = working.join_next() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        while working.join_next().await.is_some() {}
    }

    /// Claims due deliveries.
    async fn claim(&self, most: usize) -> Result<Vec<ClaimedOf<K>>, DbError> {
        let now = self.clock.now();
        if most == 0 || !self.db.read(move |tx| deliveries::is_due(tx, K::KIND, now)).await? {
            return Ok(Vec::new());
        }
        let (name, most) = (Arc::from(random::letters(16)), i64::try_from(most).unwrap_or(i64::MAX));
        self.db.write(move |tx| deliveries::claim(tx, K::KIND, &name, now, now.plus(LEASE_MS), most)).await
    }

    /// Takes a claimed delivery through its steps, one after the other.
    async fn deliver(self: Arc<Self>, claimed: ClaimedOf<K>, mut stop: watch::Receiver<bool>) {
        let Claimed { claim, mut cursor, mut failures, mut failing_since_ts } = claimed;
        loop {
            let mut planned = match self.plan(&claim, cursor).await {
                Ok(Some(planned)) => planned,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, kind = %K::KIND, num = %claim.target, "a delivery cannot be planned");
                    return self.put_off(&claim, failures).await;
                }
            };
            let end = match planned.plan.message.take() {
                None => End::Delivered,
                Some(message) => {
                    let label = K::label(&message);
                    let outcome = tokio::select! {
                        outcome = tokio::time::timeout(SEND_WITHIN, self.kind.send(message)) => Some(outcome),
                        _ = stop.wait_for(|stop| *stop) => None,
                    };
                    let Some(outcome) = outcome else { return self.release(&claim).await };
                    let outcome = outcome.unwrap_or_else(|_| Outcome::Failed("it took too long".to_owned()));
                    match self.judge(&claim, label, outcome, failures, failing_since_ts) {
                        Some(end) => end,
                        None => return self.put_off(&claim, failures).await,
                    }
                }
            };
            match self.finish(&claim, planned, end).await {
                Ok(Some(next)) => (cursor, failures, failing_since_ts) = (next, 0, None),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, kind = %K::KIND, num = %claim.target, "the progress of a delivery cannot be stored");
                    return;
                }
            }
        }
    }

    /// Plans the next step; returns `None` if the claim does not hold any more.
    async fn plan(
        self: &Arc<Self>,
        claim: &ClaimOf<K>,
        cursor: K::Cursor,
    ) -> Result<Option<Planned<K>>, K::Error> {
        let (worker, claim, now) = (Arc::clone(self), claim.clone(), self.clock.now());
        self.db
            .read(move |tx| {
                let Some(marks) = deliveries::marks(tx, &claim)? else { return Ok(None) };
                let plan = worker.kind.plan(tx, claim.target, cursor, now)?;
                Ok(Some(Planned { plan, marks }))
            })
            .await
    }

    /// Counts and logs the result of sending a message. Returns `None` if it is to be sent again, after a pause.
    fn judge(
        &self,
        claim: &ClaimOf<K>,
        label: &'static str,
        outcome: Outcome,
        failures: i64,
        failing_since_ts: Option<Millis>,
    ) -> Option<End> {
        let (kind, num, failures) = (K::KIND, claim.target, failures + 1);
        let now = self.clock.now();
        let is_given_up = failing_since_ts.is_some_and(|since| now.since(since) >= K::RETRY.give_up_ms);
        match outcome {
            Outcome::Delivered => {
                self.metrics.count(label, "delivered");
                Some(End::Delivered)
            }
            Outcome::Rejected(reason) => {
                self.metrics.count(label, "rejected");
                tracing::info!(%kind, %num, reason, "a message was rejected for good");
                Some(End::Rejected(reason))
            }
            Outcome::Failed(reason) | Outcome::Refused(reason) if is_given_up => {
                self.metrics.count(label, "given_up");
                tracing::warn!(%kind, %num, failures, reason, "a message could not be delivered and is given up");
                Some(End::GivenUp(reason))
            }
            Outcome::Failed(reason) => {
                self.metrics.count(label, "failed");
                tracing::info!(%kind, %num, failures, reason, "a message could not be delivered");
                None
            }
            Outcome::Refused(reason) => {
                self.metrics.count(label, "refused");
                tracing::warn!(%kind, %num, failures, reason, "a message was not sent");
                None
            }
        }
    }

    /// Stores the end of a message. Returns the cursor from which to go on; otherwise the delivery is released, or the
    /// claim does not hold any more.
    async fn finish(
        self: &Arc<Self>,
        claim: &ClaimOf<K>,
        Planned { plan, marks }: Planned<K>,
        end: End,
    ) -> Result<Option<K::Cursor>, DbError> {
        let (worker, claim, now) = (Arc::clone(self), claim.clone(), self.clock.now());
        let next = match end {
            End::Delivered => plan.delivered,
            End::GivenUp(_) | End::Rejected(_) => plan.given_up,
        };
        let write = move |tx: &mut Tx<'_>| -> Result<Option<K::Cursor>, DbError> {
            let settle =
                |tx: &mut Tx<'_>, until| deliveries::settle(tx, &claim, next.cursor, marks, until, now);
            let (holds, more) = match next.then {
                Then::Continue => {
                    (deliveries::advance(tx, &claim, next.cursor, now.plus(LEASE_MS))?, Some(next.cursor))
                }
                Then::Rest => (settle(tx, None)?, None),
                Then::RestUntil(until) => (settle(tx, Some(until))?, None),
            };
            if !holds {
                return Ok(None);
            }
            worker.kind.store(tx, claim.target, &end, &plan.record, now)?;
            Ok(more)
        };
        self.db.write(write).await
    }

    /// Lets a delivery rest after a failure.
    async fn put_off(&self, claim: &ClaimOf<K>, failures: i64) {
        let now = self.clock.now();
        let until = now.plus(K::RETRY.pause_ms(failures));
        self.write(claim, move |tx, claim| deliveries::fail(tx, claim, now, until)).await;
    }

    async fn release(&self, claim: &ClaimOf<K>) {
        let now = self.clock.now();
        self.write(claim, move |tx, claim| deliveries::release(tx, claim, now)).await;
    }

    /// Releases a delivery; if that fails, the claim ends with its lease.
    async fn write(
        &self,
        claim: &ClaimOf<K>,
        write: impl Fn(&mut Tx<'_>, &ClaimOf<K>) -> Result<(), DbError> + Send + 'static,
    ) {
        let (claimed, num) = (claim.clone(), claim.target);
        if let Err(error) = self.db.write(move |tx| write(tx, &claimed)).await {
            tracing::warn!(%error, kind = %K::KIND, %num, "a delivery cannot be released");
        }
    }
}
