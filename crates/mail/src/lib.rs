//! Mails to people: links with which they prove that an address is theirs, and notices of what happens to their accounts.
//!
//! A deed queues a mail in its transaction ([`reeve_accounts::mails`]). Mails are a kind of delivery (`letters`): a worker claims one,
//! writes it in the language of the recipient (`text`), sends it and deletes it ([`reeve_deliver`]), so that none is lost when the
//! server stops. One that a mail server accepted without the answer coming back is sent again, under the same id.

mod letters;
mod text;

use std::sync::Arc;

use prometheus_client::registry::Registry;
use reeve_db::Db;
use reeve_deliver::Worker;
use reeve_model::Clock;
use reeve_outgoing::{MailStyle, Mailer};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::letters::Letters;

/// The delivery of mails to people.
#[derive(Clone)]
pub struct Mails {
    worker: Arc<Worker<Letters>>,
}

impl Mails {
    /// A delivery that does nothing until [`Mails::start`]. Without a mailer, what waits from before is given up after a while.
    pub fn new(server_name: Arc<str>, db: Db, clock: Clock, mailing: Option<(Mailer, MailStyle)>) -> Self {
        Self { worker: Arc::new(Worker::new(Letters { server_name, mailing }, db, clock)) }
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.worker.register(registry);
    }

    /// Starts the delivery, until stopped.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
        tokio::spawn(Arc::clone(&self.worker).run(stop.clone()))
    }
}
