//! Delivery of notifications to users whose clients are not connected, through push gateways and by e-mail.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-notifications>
//!
//! Sending an event queues nothing. A follower reads the stream and marks the deliveries of the pushers that new entries
//! may concern (`follow`). Pushers are a kind of delivery (`pushers`): a worker claims a marked one, computes its
//! notifications from its cursor and sends them ([`reeve_deliver`]), so nothing is lost when the server stops.

mod follow;
mod gateway;
mod mail;
mod pushers;

use std::sync::Arc;

use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError};
use reeve_deliver::Worker;
use reeve_model::Clock;
use reeve_outgoing::Outgoing;
use reeve_rooms::Home;
use reeve_store::alerts;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::follow::Marker;
use crate::gateway::Gateways;
use crate::pushers::Pushers;

pub use crate::pushers::{Mailing, Settings};

/// The delivery of notifications.
#[derive(Clone)]
pub struct Push {
    db: Db,
    clock: Clock,
    worker: Arc<Worker<Pushers>>,
}

impl Push {
    /// A delivery that does nothing until [`Push::start`].
    pub fn new(
        home: Arc<Home>,
        db: Db,
        clock: Clock,
        outgoing: Outgoing,
        mailing: Mailing,
        settings: Settings,
    ) -> Self {
        let pushers = Pushers { home, outgoing, gateways: Gateways::default(), mailing, settings };
        let worker = Arc::new(Worker::new(pushers, db.clone(), clock.clone()));
        Self { db, clock, worker }
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.worker.register(registry);
    }

    /// Deletes expired records.
    pub async fn prune(&self) -> Result<(), DbError> {
        let before = self.clock.now().minus(mail::FORGET_MS);
        self.db.write(move |tx| alerts::prune_mailed(tx, before)).await
    }

    /// Starts the delivery, until stopped.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let marker = Arc::new(Marker { db: self.db.clone(), clock: self.clock.clone() });
        vec![
            tokio::spawn(reeve_follow::follow(marker, self.db.clone(), follow::PACE, stop.clone())),
            tokio::spawn(Arc::clone(&self.worker).run(stop.clone())),
        ]
    }
}
