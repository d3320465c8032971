//! Deletion of orphaned objects.

use reeve_db::DbError;
use reeve_model::Millis;
use reeve_store::media_objects::{self, PendingDelete};

use crate::Error;
use crate::library::Library;

/// The age at which an object in progress counts as abandoned, whatever became of its process. One that takes longer is renewed
/// meanwhile.
const ABANDONED_MS: i64 = 24 * 3600 * 1000;
/// Maximum number of objects deleted between two reads of the database.
const BATCH: i64 = 100;

impl Library {
    /// Deletes orphaned objects: interrupted uploads, deleted uploads, second copies. Every object that was
    /// orphaned before the call is deleted. It can be interrupted at any point and run by several processes at
    /// a time.
    pub async fn sweep(&self) -> Result<(), Error> {
        let _sweeping = self.orphans().sweeping().await;
        while let Some(object) = self.orphans().pop() {
            if let Err(error) = self.schedule_delete(object.clone()).await {
                self.orphans().note(object);
                return Err(error);
            }
        }
        let before = self.now().minus(ABANDONED_MS);
        self.give_up_before(before).await?;
        let (mut after, mut failure) = (PendingDelete::default(), None);
        loop {
            let from = after.clone();
            let batch = self.db().read(move |tx| media_objects::pending_delete(tx, &from, BATCH)).await?;
            let Some(last) = batch.last() else { break };
            after = last.clone();
            let mut deleted = Vec::new();
            for PendingDelete { object, .. } in batch {
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
        // An object that cannot be deleted does not stop the others; it is retried next time.
        failure.map_or(Ok(()), Err)
    }

    /// Abandons the uploads of a former process. Only for a process that has the store to itself.
    pub async fn give_up_former(&self) -> Result<(), Error> {
        self.give_up_before(Millis::MAX).await
    }

    async fn give_up_before(&self, before: Millis) -> Result<(), Error> {
        // There are few; a read costs less than a write.
        while self.db().read(move |tx| media_objects::has_abandoned(tx, before)).await? {
            self.db().write(move |tx| media_objects::schedule_delete_of_abandoned(tx, before, BATCH)).await?;
        }
        Ok(())
    }

    async fn schedule_delete(&self, object: String) -> Result<(), Error> {
        Ok(self.db().write(move |tx| media_objects::schedule_delete_of_orphan(tx, &object)).await?)
    }
}
