//! All uploads of the server: what is known of them, their bytes, and what is going on with them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reeve_db::{Db, DbError, Tx};
use reeve_model::{Clock, Millis, UserNum, random};
use reeve_store::media::{self, Media, NewMedia};
use reeve_store::{media_objects, media_pending};
use tokio::sync::{Notify, watch};

use crate::access::Accessed;
use crate::store::{Content, Store, StoreSettings};
use crate::sweep::Abandoned;
use crate::thumbnail::{self, Refused};
use crate::turns::Turns;
use crate::upload::{Stored, Trace, Upload};
use crate::{Error, deeds};

/// How long the name of an object is.
const OBJECT: usize = 32;
/// How often somebody who waits for bytes looks without being told to: finds those that came to another process.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the operator decided about uploads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the bytes are kept.
    pub store: StoreSettings,
    /// The longest upload, in bytes.
    pub max_upload_bytes: u64,
    /// How many bytes one account may have uploaded.
    pub max_bytes_per_account: Option<i64>,
    /// How many bytes may be stored for all accounts.
    pub max_bytes: Option<i64>,
    /// How many media ids of an account may wait for their bytes.
    pub max_pending: i64,
    /// How long a media id waits for its bytes, in milliseconds.
    pub pending_ms: i64,
    /// The largest picture that thumbnails are made of, in pixels.
    pub max_picture_pixels: u64,
    /// How many thumbnails are made at the same time.
    pub thumbnail_workers: usize,
}

impl Settings {
    /// The usual limits, with the bytes kept here.
    pub fn new(store: StoreSettings) -> Self {
        Self {
            store,
            max_upload_bytes: 50 * 1024 * 1024,
            max_bytes_per_account: None,
            max_bytes: None,
            max_pending: 20,
            pending_ms: 24 * 3600 * 1000,
            max_picture_pixels: 32_000_000,
            thumbnail_workers: 1,
        }
    }
}

struct Inner {
    db: Db,
    clock: Clock,
    settings: Settings,
    store: Store,
    accessed: Accessed,
    abandoned: Abandoned,
    strays: Notify,
    arrivals: Notify,
    /// At making thumbnails.
    turns: Arc<Turns>,
    refused: Refused,
}

/// All uploads. Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

impl Library {
    /// Opens the store.
    pub fn open(settings: Settings, db: Db, clock: Clock) -> Result<Self, Error> {
        let store = Store::open(&settings.store)?;
        let turns = Turns::new(settings.thumbnail_workers, thumbnail::EACH);
        let (accessed, abandoned) = (Accessed::default(), Abandoned::default());
        let (strays, arrivals) = (Notify::new(), Notify::new());
        let refused = Refused::default();
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            settings,
            store,
            accessed,
            abandoned,
            strays,
            arrivals,
            turns,
            refused,
        })))
    }

    /// Tries out whether the store takes what it is given, so that a wrong bucket or key is known before somebody
    /// uploads something.
    pub async fn probe(&self) -> Result<(), Error> {
        self.store().probe().await
    }

    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn turns(&self) -> &Arc<Turns> {
        &self.0.turns
    }

    pub(crate) fn refused(&self) -> &Refused {
        &self.0.refused
    }

    pub(crate) fn abandoned(&self) -> &Abandoned {
        &self.0.abandoned
    }

    pub(crate) fn now(&self) -> Millis {
        self.0.clock.now()
    }

    /// How many thumbnails wait or are being made.
    pub fn thumbnails_waiting(&self) -> usize {
        self.0.turns.waiting()
    }

    /// Waits until there may be something to sweep.
    pub async fn strayed(&self) {
        self.0.strays.notified().await;
    }

    /// Says that there is something to sweep, such as after something was deleted.
    pub fn wake_sweeper(&self) {
        self.0.strays.notify_one();
    }

    pub(crate) fn abandon(&self, object: String) {
        self.0.abandoned.note(object);
        self.wake_sweeper();
    }

    /// Begins an upload of an account. From the first byte on it is known that something may be left in the store.
    pub async fn begin(&self, user_num: UserNum) -> Result<Upload, Error> {
        let (object, now) = (random::letters(OBJECT), self.now());
        let writer = self.store().write(&object, user_num);
        let name = object.clone();
        self.db().write(move |tx| media_objects::begin(tx, &name, now)).await?;
        Ok(Upload::new(Trace::new(self.clone(), object), writer, self.settings().max_upload_bytes))
    }

    /// Ends an upload and adds it.
    pub async fn add(&self, upload: Upload, new: NewMedia) -> Result<(), Error> {
        let library = self.clone();
        self.keep(upload, move |tx, stored| deeds::add(tx, library.settings(), &new, stored)).await
    }

    /// Ends an upload and adds it under the media id that was given out before. `began`: when the upload began, in
    /// milliseconds.
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

    pub(crate) async fn keep(
        &self,
        upload: Upload,
        deed: impl Fn(&mut Tx<'_>, &Stored) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (stored, trace) = upload.finish().await?;
        self.db().write(move |tx| deed(tx, &stored)).await?;
        trace.settle();
        // It may have been a second copy.
        self.wake_sweeper();
        Ok(())
    }

    /// An upload that may be seen, one that is quarantined only `with_quarantined`. If its media id was given out and the
    /// bytes have not come, waits for them, but not longer than `most` and not when the server stops.
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
                _ => return Err(Error::NotFound),
            }
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = &mut deadline => return Err(Error::NotYetUploaded),
                _ = stop.wait_for(|stop| *stop) => return Err(Error::NotYetUploaded),
            }
        }
    }

    /// Reads a range of an upload, which must lie within it, and notes that somebody did.
    pub async fn read(&self, media: &Media, range: Range<u64>) -> Result<Content, Error> {
        self.note(media);
        self.store().read(&media.object, range).await
    }

    /// Notes that somebody had an upload.
    pub fn note(&self, media: &Media) {
        self.0.accessed.note(&media.media_id, self.now());
    }

    /// Writes down when uploads were last downloaded.
    pub async fn flush(&self) -> Result<(), DbError> {
        self.0.accessed.flush(self.db()).await
    }
}
