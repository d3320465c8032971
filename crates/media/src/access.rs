//! Times of last downloads. They are collected in memory and written in batches, so that a read costs no write.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reeve_db::{Db, DbError};
use reeve_model::Millis;
use reeve_store::media;

/// Maximum number of times written in one transaction.
const BATCH: usize = 500;
/// Maximum number of entries in memory; above it, downloads are not noted.
const MAX: usize = 100_000;

/// Collects times until they are written.
#[derive(Default)]
pub(crate) struct Accessed(Mutex<HashMap<String, Millis>>);

impl Accessed {
    /// Notes a download.
    pub(crate) fn note(&self, media_id: &str, now: Millis) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ts) = waiting.get_mut(media_id) {
            *ts = now.max(*ts);
        } else if waiting.len() < MAX {
            waiting.insert(media_id.to_owned(), now);
        }
    }

    /// Writes all entries, in transactions of bounded length. Entries that cannot be written are kept.
    pub(crate) async fn flush(&self, db: &Db) -> Result<(), DbError> {
        let all: Vec<(String, Millis)> = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(media_id, ts)| (media_id.clone(), *ts))
            .collect();
        for batch in all.chunks(BATCH) {
            let written = batch.to_vec();
            db.write(move |tx| -> Result<(), DbError> {
                written.iter().try_for_each(|(media_id, ts)| media::touch(tx, media_id, *ts))
            })
            .await?;
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (media_id, ts) in batch {
                if waiting.get(media_id) == Some(ts) {
                    waiting.remove(media_id);
                }
            }
        }
        Ok(())
    }
}
