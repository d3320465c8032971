//! Deletes what is in the store and belongs to nothing.

use std::sync::{Mutex, PoisonError};

use reeve_db::DbError;
use reeve_model::Millis;
use reeve_store::media_objects::{self, Doomed};

use crate::Error;
use crate::library::Library;

/// Bytes that began to be written so long ago are not being written any more, whatever became of the process.
const ABANDONED_MS: i64 = 24 * 3600 * 1000;
/// How many objects are deleted between two looks at the database.
const BATCH: i64 = 100;

/// Uploads that broke off in this process.
#[derive(Default)]
pub(crate) struct Abandoned {
    objects: Mutex<Vec<String>>,
    /// Held by whoever sweeps.
    broom: tokio::sync::Mutex<()>,
}

impl Abandoned {
    pub(crate) fn note(&self, object: String) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).push(object);
    }

    fn pop(&self) -> Option<String> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Library {
    /// Deletes what belongs to nothing: what broke off, what was deleted, second copies. What was so before is gone
    /// after it. Can be broken off at any point and run by several processes at a time.
    pub async fn sweep(&self) -> Result<(), Error> {
        let _broom = self.abandoned().broom.lock().await;
        while let Some(object) = self.abandoned().pop() {
            if let Err(error) = self.doom(object.clone()).await {
                self.abandoned().note(object);
                return Err(error);
            }
        }
        let before = self.now().minus(ABANDONED_MS);
        self.doom_before(before).await?;
        let (mut after, mut failure) = (Doomed::default(), None);
        loop {
            let from = after.clone();
            let doomed = self.db().read(move |tx| media_objects::doomed(tx, &from, BATCH)).await?;
            let Some(last) = doomed.last() else { break };
            after = last.clone();
            let mut deleted = Vec::new();
            for Doomed { object, .. } in doomed {
                match self.store().delete(&object).await {
                    Ok(()) => deleted.push(object),
                    Err(error) => failure = Some(error),
                }
            }
            self.db()
                .write(move |tx| -> Result<(), DbError> {
                    deleted.iter().try_for_each(|object| media_objects::forget(tx, object))
                })
                .await?;
        }
        // What cannot be deleted keeps nothing else; it is tried again next time.
        failure.map_or(Ok(()), Err)
    }

    /// Gives up whatever a former process was writing. Only for a process that has the store for itself.
    pub async fn give_up_former(&self) -> Result<(), Error> {
        self.doom_before(Millis::MAX).await
    }

    async fn doom_before(&self, before: Millis) -> Result<(), Error> {
        // There are few; looking costs less than writing.
        while self.db().read(move |tx| media_objects::has_abandoned(tx, before)).await? {
            self.db().write(move |tx| media_objects::doom_abandoned(tx, before, BATCH)).await?;
        }
        Ok(())
    }

    async fn doom(&self, object: String) -> Result<(), Error> {
        Ok(self.db().write(move |tx| media_objects::doom_stray(tx, &object)).await?)
    }
}
