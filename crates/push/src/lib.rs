//! Delivery of notifications to users whose clients are not connected, through push gateways and by e-mail.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-notifications>
//!
//! Sending an event queues nothing. A follower reads the stream and marks the pushers that new entries may
//! concern (`follow`); one process at a time claims a marked pusher and computes its notifications (`queue`). A
//! pusher stores the position up to which everything was delivered, so nothing is lost when the server stops.

mod follow;
mod gateway;
mod mail;
mod metrics;
mod queue;

use std::sync::Arc;

use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError};
use reeve_model::Clock;
use reeve_outgoing::{Mailer, Outgoing};
use reeve_rooms::Home;
use reeve_store::push_queue;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::gateway::Gateways;
use crate::metrics::Metrics;

pub use crate::mail::MailStyle;

/// The operator's settings for notifications.
#[derive(Clone, Debug)]
pub struct Settings {
    /// True to send the content of events to push gateways, not only their existence.
    pub include_content: bool,
    /// True to count rooms with unread messages, not unread messages.
    pub unread_by_room: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { include_content: true, unread_by_room: true }
    }
}

/// E-mail, if the server sends it: the mailer, and the style of mails.
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
    /// Notified when pushers were marked.
    marked: Notify,
}

/// The delivery of notifications.
#[derive(Clone)]
pub struct Push(Arc<Inner>);

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

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Deletes expired records.
    pub async fn prune(&self) -> Result<(), DbError> {
        let before = self.0.clock.now().minus(mail::FORGET_MS);
        self.0.db.write(move |tx| push_queue::prune_mailed(tx, before)).await
    }

    /// Starts the delivery, until stopped.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let (marker, db) = (Arc::clone(&self.0), self.0.db.clone());
        vec![
            tokio::spawn(reeve_follow::follow(marker, db, follow::PACE, stop.clone())),
            tokio::spawn(queue::run(Arc::clone(&self.0), stop.clone())),
        ]
    }
}
