//! Tells people of events while no client of theirs looks: through push gateways, and by e-mail.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-notifications>
//!
//! Sending an event queues nothing. The stream of events is followed, and the pushers that something new may concern are
//! marked (`follow`); whoever is marked is taken up, by one process at a time, and what it has to tell is looked up then
//! (`queue`). A pusher knows how far in the stream it has told everything, so nothing is lost when the server stops.

mod follow;
mod gateway;
mod mail;
mod metrics;
mod queue;

use std::sync::Arc;

use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError};
use reeve_model::{Clock, Pos};
use reeve_outgoing::{Mailer, Outgoing};
use reeve_rooms::Home;
use reeve_store::push_queue;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::gateway::Gateways;
use crate::metrics::Metrics;

pub use crate::mail::MailStyle;

/// What the operator decided about notifications.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether push gateways are told what an event says, and not only that there is one.
    pub include_content: bool,
    /// Whether the number of rooms with something unread is told, and not the number of unread messages.
    pub unread_by_room: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { include_content: true, unread_by_room: true }
    }
}

/// E-mail, where the server sends some: through what, and what it looks like.
pub type Mailing = Option<(Mailer, MailStyle)>;

struct Inner {
    home: Arc<Home>,
    db: Db,
    clock: Clock,
    outgoing: Outgoing,
    mailing: Mailing,
    settings: Settings,
    metrics: Metrics,
    gateways: Gateways,
    /// Told when pushers were marked.
    marked: Notify,
}

/// The delivery of notifications.
#[derive(Clone)]
pub struct Push(Arc<Inner>);

impl Push {
    /// Nothing is delivered until [`Push::start`].
    pub fn new(
        home: Arc<Home>,
        db: Db,
        clock: Clock,
        outgoing: Outgoing,
        mailing: Mailing,
        settings: Settings,
    ) -> Self {
        Self(Arc::new(Inner {
            home,
            db,
            clock,
            outgoing,
            mailing,
            settings,
            metrics: Metrics::default(),
            gateways: Gateways::default(),
            marked: Notify::new(),
        }))
    }

    /// Adds what it measures to a registry.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Forgets what is no longer needed.
    pub async fn prune(&self) -> Result<(), DbError> {
        let before = self.0.clock.now().minus(mail::FORGET_MS);
        self.0.db.write(move |tx| push_queue::prune_mailed(tx, before)).await
    }

    /// Starts delivering, until told to stop. `end` is the newest position of the stream.
    pub fn start(&self, end: watch::Receiver<Pos>, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        vec![
            tokio::spawn(follow::follow(Arc::clone(&self.0), end, stop.clone())),
            tokio::spawn(queue::run(Arc::clone(&self.0), stop.clone())),
        ]
    }
}
