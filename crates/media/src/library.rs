//! The library: all uploads of the server, their bytes, and work in progress on them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError, Tx};
use reeve_model::{Clock, Millis, UserNum, random};
use reeve_store::media::{self, Media, NewMedia};
use reeve_store::media_users::Totals;
use reeve_store::{media_objects, media_pending};
use tokio::sync::{Notify, watch};

use crate::access::Accessed;
use crate::fair_limiter::FairLimiter;
use crate::metrics::Metrics;
use crate::orphans::{OrphanGuard, Orphans};
use crate::refused::Refused;
use crate::settings::Settings;
use crate::store::{Content, Store};
use crate::upload::{Stored, Upload};
use crate::{Error, deeds};

/// Maximum number of thumbnails of one requester that are in progress or in the common queue.
const THUMBNAILS_EACH: usize = 8;
/// Length of the name of an object.
const OBJECT: usize = 32;
/// Interval at which a wait for a pending upload reads the database: finds uploads to other processes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

struct Inner {
    db: Db,
    clock: Clock,
    settings: Settings,
    store: Store,
    accessed: Accessed,
    orphans: Arc<Orphans>,
    arrivals: Notify,
    /// The fair limiter of thumbnails.
    limiter: Arc<FairLimiter>,
    refused: Refused,
    metrics: Metrics,
}

/// All uploads. Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

impl Library {
    /// Opens the store.
    pub fn open(settings: Settings, db: Db, clock: Clock) -> Result<Self, Error> {
        let store = Store::open(&settings.store)?;
        let limiter = FairLimiter::new(settings.thumbnail_workers, THUMBNAILS_EACH);
        let (accessed, orphans) = (Accessed::default(), Arc::default());
        let (arrivals, refused) = (Notify::new(), Refused::default());
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            settings,
            store,
            accessed,
            orphans,
            arrivals,
            limiter,
            refused,
            metrics: Metrics::default(),
        })))
    }

    /// Tests the store with a short object, so that a wrong bucket or key is known before the first upload.
    pub async fn probe(&self) -> Result<(), Error> {
        self.store().probe().await
    }

    /// The operator's settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn limiter(&self) -> &Arc<FairLimiter> {
        &self.0.limiter
    }

    pub(crate) fn refused(&self) -> &Refused {
        &self.0.refused
    }

    pub(crate) fn orphans(&self) -> &Orphans {
        &self.0.orphans
    }

    pub(crate) fn now(&self) -> Millis {
        self.0.clock.now()
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        let waiting = self.0.limiter.waiting().clone();
        registry.register("thumbnails_waiting", "Thumbnails waiting or in progress", waiting);
        self.0.metrics.register(registry);
    }

    /// Sets the metrics whose values the database holds, as they were just read: all uploads, and the orphaned
    /// objects.
    pub fn measured(&self, totals: Totals, strays: i64) {
        self.0.metrics.set(totals, strays);
    }

    /// Waits until there may be something to sweep.
    pub async fn sweep_due(&self) {
        self.0.orphans.noticed().await;
    }

    /// Wakes the sweeper, such as after a deletion.
    pub fn wake_sweeper(&self) {
        self.0.orphans.wake_sweeper();
    }

    /// Begins an upload of an account. From the first byte on its object is known as one that may be orphaned.
    pub async fn begin(&self, user_num: UserNum) -> Result<Upload, Error> {
        self.begin_up_to(user_num, self.settings().max_upload_bytes).await
    }

    /// Begins to write an object for an account, as [`Library::begin`] does, with another maximum size in bytes. What may take
    /// longer than a day is renewed (`store::media_objects::renew`).
    pub async fn begin_up_to(&self, user_num: UserNum, most: u64) -> Result<Upload, Error> {
        let (object, now) = (random::letters(OBJECT), self.now());
        let writer = self.store().write(&object, user_num);
        let name = object.clone();
        self.db().write(move |tx| media_objects::begin(tx, &name, now)).await?;
        let guard = OrphanGuard::new(Arc::clone(&self.0.orphans), object);
        Ok(Upload::new(guard, writer, most))
    }

    /// Completes an upload and adds it.
    pub async fn add(&self, upload: Upload, new: NewMedia) -> Result<(), Error> {
        let library = self.clone();
        self.keep(upload, move |tx, stored| deeds::add(tx, library.settings(), &new, stored)).await
    }

    /// Completes an upload and adds it under a media id created before. `began`: the time at which the upload
    /// began, in milliseconds.
    pub async fn add_pending(&self, upload: Upload, new: NewMedia, began: Millis) -> Result<(), Error> {
        let library = self.clone();
        self.keep(upload, move |tx, stored| deeds::add_pending(tx, library.settings(), &new, stored, began))
            .await?;
        self.0.arrivals.notify_waiters();
        Ok(())
    }

    /// Adds bytes that are in memory, such as the picture of a preview.
    pub async fn add_bytes(&self, new: NewMedia, bytes: &[u8]) -> Result<(), Error> {
        let mut upload = self.begin(new.user_num).await?;
        upload.write(bytes).await?;
        self.add(upload, new).await
    }

    /// Completes an upload and runs the deed that takes its object. If that fails, the object is deleted.
    pub async fn keep<E>(
        &self,
        upload: Upload,
        deed: impl Fn(&mut Tx<'_>, &Stored) -> Result<(), E> + Send + 'static,
    ) -> Result<(), E>
    where
        E: From<Error> + From<DbError> + Send + 'static,
    {
        let (stored, guard) = upload.finish().await?;
        self.db().write(move |tx| deed(tx, &stored)).await?;
        guard.settle();
        // It may have been a second copy.
        self.wake_sweeper();
        Ok(())
    }

    /// A visible upload, or a quarantined one `with_quarantined`. If its media id is pending, waits for the
    /// file, but not longer than `most` and not when the server stops.
    pub async fn find(
        &self,
        media_id: &str,
        with_quarantined: bool,
        most: Duration,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Media, Error> {
        let deadline = tokio::time::sleep(most);
        tokio::pin!(deadline);
        loop {
            let arrived = self.0.arrivals.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let (wanted, now) = (media_id.to_owned(), self.now());
            let found = self
                .db()
                .read(move |tx| -> Result<_, DbError> {
                    if let Some(media) = media::find(tx, &wanted)? {
                        return Ok((Some(media), false));
                    }
                    let pending = media_pending::find(tx, &wanted)?;
                    Ok((None, pending.is_some_and(|pending| pending.expires_ts > now)))
                })
                .await?;
            match found {
                (Some(media), _) if with_quarantined || media.quarantined_by.is_none() => return Ok(media),
                (None, true) => {}
                (Some(_), _) | (None, false) => return Err(Error::NotFound),
            }
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = &mut deadline => return Err(Error::NotYetUploaded),
                _ = stop.wait_for(|stop| *stop) => return Err(Error::NotYetUploaded),
            }
        }
    }

    /// Reads a range of an upload, which must lie within it, and notes the download.
    pub async fn read(&self, media: &Media, range: Range<u64>) -> Result<Content, Error> {
        self.note(media);
        self.store().read(&media.object, range).await
    }

    /// Reads a range of an object, which must lie within it, without noting a download.
    pub async fn read_object(&self, object: &str, range: Range<u64>) -> Result<Content, Error> {
        self.store().read(object, range).await
    }

    /// Notes a download.
    pub fn note(&self, media: &Media) {
        self.0.accessed.note(&media.media_id, self.now());
    }

    /// Writes the times of last downloads.
    pub async fn flush(&self) -> Result<(), DbError> {
        self.0.accessed.flush(self.db()).await
    }
}
