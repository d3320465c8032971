//! Webhooks: what happens on the server is told to other systems, signed, in order and at least once.
//! <https://www.standardwebhooks.com>
//!
//! A deed that webhooks may be told of records a happening in its transaction, if a webhook wants its kind
//! ([`reeve_store::happenings`]). A follower marks the deliveries of the webhooks concerned (`follow`). Webhooks are a kind
//! of delivery (`endpoints`): a worker claims a marked one, and sends what lies beyond its cursor ([`reeve_deliver`]).

pub mod deeds;
mod endpoints;
mod error;
mod follow;
mod message;
pub mod rights;

use std::sync::Arc;

use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError, Tx};
use reeve_deliver::{Outcome, Worker};
use reeve_model::{Clock, Millis};
use reeve_outgoing::Outgoing;
use reeve_store::{happenings, webhooks};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

pub use crate::deeds::Destination;
use crate::endpoints::Endpoints;
pub use crate::error::Error;
use crate::follow::Marker;
pub use crate::message::Message;

/// The longest URL, in bytes.
const MAX_URL: usize = 2048;
/// The number of happenings that one transaction deletes.
const PRUNE_AT_ONCE: i64 = 500;

/// The operator's settings for webhooks.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Maximum number of webhooks.
    pub max: i64,
    /// The time for which happenings are kept, in milliseconds.
    pub history_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max: 100, history_ms: 30 * 86_400_000 }
    }
}

/// Webhooks and their delivery. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    db: Db,
    clock: Clock,
    outgoing: Outgoing,
    settings: Settings,
    worker: Arc<Worker<Endpoints>>,
}

/// The result of sending a message for an administrator who waits for it.
#[derive(Debug)]
pub struct Attempt {
    /// The reason why it failed; `None` if the receiver accepted it.
    pub failure: Option<String>,
}

impl Webhooks {
    /// A delivery that does nothing until [`Webhooks::start`].
    pub fn new(server_name: Arc<str>, db: Db, clock: Clock, outgoing: Outgoing, settings: Settings) -> Self {
        let endpoints = Endpoints { outgoing: outgoing.clone(), clock: clock.clone(), server_name };
        let worker = Arc::new(Worker::new(endpoints, db.clone(), clock.clone()));
        Self { db, clock, outgoing, settings, worker }
    }

    /// Returns the maximum number of webhooks.
    pub fn max(&self) -> i64 {
        self.settings.max
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.worker.register(registry);
    }

    /// Starts the delivery, until stopped.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let marker = Arc::new(Marker { db: self.db.clone(), clock: self.clock.clone() });
        vec![
            tokio::spawn(reeve_follow::follow(marker, self.db.clone(), follow::PACE, stop.clone())),
            tokio::spawn(Arc::clone(&self.worker).run(stop.clone())),
        ]
    }

    /// Checks the URL of a receiver. The addresses of a name are checked at each request.
    pub fn destination(&self, url: &str) -> Result<Destination, Error> {
        if url.len() > MAX_URL {
            return Err(Error::Bad("The URL is too long (max 2048)"));
        }
        let url = Url::parse(url).map_err(|_| Error::Bad("The URL is not valid"))?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(Error::Bad("The URL must have neither a user name, nor a password, nor a fragment"));
        }
        match self.outgoing.check(&url) {
            Ok(()) => Ok(Destination(url)),
            Err(reeve_outgoing::Error::Inside) => Err(Error::Inside),
            Err(_) => Err(Error::Bad("The URL must be an http or https URL")),
        }
    }

    /// Sends a message now.
    pub async fn send(&self, message: Message) -> Attempt {
        let failure = match endpoints::send(&self.outgoing, message).await {
            Outcome::Delivered => None,
            Outcome::Rejected(reason) | Outcome::Failed(reason) | Outcome::Refused(reason) => Some(reason),
        };
        Attempt { failure }
    }

    /// Deletes secrets that have ended, and old happenings; all of them if there is no webhook.
    pub async fn prune(&self) -> Result<(), DbError> {
        let now = self.clock.now();
        let before = now.minus(self.settings.history_ms);
        for webhook in self.db.read(move |tx| webhooks::late(tx, before)).await? {
            tracing::warn!(webhook, "events that the receiver did not take in time are deleted");
        }
        self.db.write(move |tx| webhooks::prune_secrets(tx, now)).await?;
        let prune = move |tx: &mut Tx<'_>| {
            // A webhook that is created meanwhile keeps what it is told.
            let before = if webhooks::count(tx)? == 0 { Millis::MAX } else { before };
            happenings::prune(tx, before, PRUNE_AT_ONCE)
        };
        while self.db.write(prune).await? {}
        Ok(())
    }
}
