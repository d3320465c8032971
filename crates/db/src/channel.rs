use std::{
    collections::HashMap,
    future,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

/// A subject about which writing transactions notify the tasks of this process ([`Tx::notify`](crate::Tx::notify),
/// [`Db::listen`](crate::Db::listen)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Channel(&'static str);

impl Channel {
    /// Returns the channel of this name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }
}

/// The end of a channel at which a task learns of notifications.
#[derive(Debug)]
pub struct Listener(watch::Receiver<()>);

impl Listener {
    /// Returns once a transaction that notified the channel was committed since the last call or, for the first,
    /// since [`Db::listen`](crate::Db::listen). Several transactions may give one notification.
    pub async fn notified(&mut self) {
        if self.0.changed().await.is_err() {
            // The database is gone: nothing is committed any more.
            future::pending::<()>().await;
        }
    }
}

/// The channels that have listeners, or had some.
#[derive(Debug, Default)]
pub(crate) struct Channels(Mutex<HashMap<Channel, watch::Sender<()>>>);

impl Channels {
    pub(crate) fn listen(&self, channel: Channel) -> Listener {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Listener(channels.entry(channel).or_default().subscribe())
    }

    pub(crate) fn notify(&self, notified: &[Channel]) {
        if notified.is_empty() {
            return;
        }
        let channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in notified.iter().filter_map(|channel| channels.get(channel)) {
            sender.send_replace(());
        }
    }
}
