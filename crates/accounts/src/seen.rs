//! The last-seen tracker: it collects sightings of accounts in memory on every authenticated request and writes them in
//! batches, so that reading costs no write.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError};
use reeve_model::{Millis, Session, TokenHash, UserNum};
use reeve_store::{connections, devices, users};

/// The minimum time between two writes for the same session and address, in milliseconds.
const GRANULARITY_MS: i64 = 120_000;
/// The number of connections that one transaction writes.
const BATCH: usize = 500;
/// The maximum number of connections that wait, and of those that are remembered; beyond it the oldest are dropped.
const MAX: usize = 100_000;

/// One sighting: a connection of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The account that owns the token. An administrator who acts as another account is seen as the administrator.
    pub user_num: UserNum,
    /// The token.
    pub token_hash: TokenHash,
    /// The address of the client.
    pub ip: String,
    /// The user agent of the client.
    pub user_agent: String,
    /// The device of the session.
    pub device_id: Option<String>,
    /// The time.
    pub ts: Millis,
}

/// An account, a token and an address.
type Key = (UserNum, TokenHash, String);

#[derive(Default)]
struct Inner {
    noted: HashMap<(TokenHash, String), Millis>,
    waiting: BTreeMap<Key, Sighting>,
    /// The sightings that the last flush wrote.
    written: BTreeMap<Key, Sighting>,
}

/// Collects sightings until they are written.
#[derive(Default)]
pub struct Seen {
    inner: Mutex<Inner>,
    /// The number of sightings that are not written yet.
    waiting: Gauge,
}

impl Seen {
    /// Adds a request of a session.
    pub fn note(&self, session: &Session, ip: &str, user_agent: &str, now: Millis) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (session.token_hash, ip.to_owned());
        if inner.noted.get(&key).is_some_and(|noted| now.since(*noted) < GRANULARITY_MS) {
            return;
        }
        if inner.noted.len() >= MAX {
            inner.noted.retain(|_, noted| now.since(*noted) < GRANULARITY_MS);
        }
        if inner.noted.len() >= MAX || inner.waiting.len() >= MAX {
            return;
        }
        let (token_hash, ip) = key.clone();
        inner.noted.insert(key, now);
        inner.waiting.insert(
            (session.owner_num, token_hash, ip.clone()),
            Sighting {
                user_num: session.owner_num,
                token_hash,
                ip,
                user_agent: user_agent.to_owned(),
                device_id: session.device_id.clone(),
                ts: now,
            },
        );
        self.count(&inner);
    }

    /// Returns the latest sightings of an account, the oldest first where a connection occurs twice: all that are not
    /// written yet, and those of the last flush, which a reading transaction that began before does not see.
    pub fn lately(&self, user_num: UserNum) -> Vec<Sighting> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let first = (user_num, TokenHash::default(), String::new());
        [&inner.written, &inner.waiting]
            .into_iter()
            .flat_map(|sightings| {
                sightings.range(first.clone()..).take_while(|((num, ..), _)| *num == user_num)
            })
            .map(|(_, sighting)| sighting.clone())
            .collect()
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("seen_waiting", "Sightings of accounts not written yet", self.waiting.clone());
    }

    fn count(&self, inner: &Inner) {
        self.waiting.set(i64::try_from(inner.waiting.len()).unwrap_or(i64::MAX));
    }

    /// Writes the collected sightings, in transactions of bounded length. After an error the rest stays.
    pub async fn flush(&self, db: &Db) -> Result<(), DbError> {
        let all: Vec<Sighting> = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.written.clear();
            inner.waiting.values().cloned().collect()
        };
        for batch in all.chunks(BATCH) {
            let sightings = batch.to_vec();
            db.write(move |tx| -> Result<(), DbError> {
                for sighting in &sightings {
                    connections::record(
                        tx,
                        &connections::Connection {
                            user_num: sighting.user_num,
                            token_hash: sighting.token_hash,
                            ip: sighting.ip.clone(),
                            user_agent: sighting.user_agent.clone(),
                            device_id: sighting.device_id.clone(),
                            last_seen_ts: sighting.ts,
                        },
                    )?;
                    if let Some(device_id) = &sighting.device_id {
                        devices::touch(
                            tx,
                            sighting.user_num,
                            device_id,
                            sighting.ts,
                            &sighting.ip,
                            &sighting.user_agent,
                        )?;
                    }
                    users::touch_last_seen(tx, sighting.user_num, sighting.ts)?;
                }
                Ok(())
            })
            .await?;
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            for written in batch {
                let key = (written.user_num, written.token_hash, written.ip.clone());
                if inner.waiting.get(&key) == Some(written) {
                    inner.waiting.remove(&key);
                }
                inner.written.insert(key, written.clone());
            }
            self.count(&inner);
        }
        Ok(())
    }
}
