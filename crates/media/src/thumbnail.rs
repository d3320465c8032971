//! Thumbnails: which sizes there are, and making and keeping them.
//! <https://spec.matrix.org/v1.18/client-server-api/#thumbnails>

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reeve_store::media::Media;
use reeve_store::media_objects::{self as objects, Thumbnail, ThumbnailKey};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Error;
use crate::library::Library;
use crate::picture::{self, Shrunk};
use crate::store::{Content, blocking};

/// How much of a file tells what it is.
const HEAD: u64 = 64;
/// The longest file that is looked at as a picture, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;
/// More than this do not wait for their turn: they are refused.
const MOST_WAITING: usize = 200;
/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(20);
/// The largest width and height that can be asked for, in pixels.
pub const LARGEST: u32 = 65_535;

/// A size in which thumbnails are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The greatest width, in pixels.
    pub width: u32,
    /// The greatest height, in pixels.
    pub height: u32,
    /// Whether the picture is cut to this shape; else all of it is shown, within this frame.
    pub crop: bool,
}

/// All sizes, so that not every wish makes another file.
const SIZES: [Size; 8] = [
    Size { width: 32, height: 32, crop: true },
    Size { width: 96, height: 96, crop: true },
    Size { width: 320, height: 240, crop: true },
    Size { width: 640, height: 480, crop: true },
    Size { width: 800, height: 600, crop: true },
    Size { width: 320, height: 240, crop: false },
    Size { width: 640, height: 480, crop: false },
    Size { width: 800, height: 600, crop: false },
];

impl Size {
    /// The smallest of the sizes that is at least as large as what is wished; of what is larger than all of them, the
    /// picture as large as it is.
    pub fn for_wish(wish: Self) -> Self {
        let enough =
            |size: &&Self| size.crop == wish.crop && size.width >= wish.width && size.height >= wish.height;
        let whole = Self { width: LARGEST, height: LARGEST, crop: false };
        SIZES.iter().find(enough).copied().unwrap_or(whole)
    }
}

/// Turns at making thumbnails.
pub(crate) struct Turns {
    turns: Semaphore,
    waiting: AtomicUsize,
}

struct Turn<'a> {
    waiting: &'a AtomicUsize,
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    pub(crate) fn new(workers: usize) -> Self {
        Self { turns: Semaphore::new(workers.max(1)), waiting: AtomicUsize::new(0) }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    async fn take(&self) -> Result<Turn<'_>, Error> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut turn = Turn { waiting: &self.waiting, permit: None };
        if waiting >= MOST_WAITING {
            return Err(Error::Busy);
        }
        let permit = tokio::time::timeout(TURN, self.turns.acquire()).await;
        turn.permit = Some(permit.map_err(|_| Error::Busy)?.map_err(Error::store)?);
        Ok(turn)
    }
}

/// A thumbnail to send.
pub struct Made {
    /// Its content type.
    pub media_type: String,
    /// How long it is, in bytes.
    pub length: u64,
    /// Its bytes.
    pub content: Content,
}

impl Library {
    /// A thumbnail of an upload: one that was made before, one that is made now and kept, or the picture itself if it
    /// is small enough.
    pub async fn thumbnail(&self, media: &Media, size: Size, animated: bool) -> Result<Made, Error> {
        let key = ThumbnailKey {
            blob_num: media.blob_num,
            width: size.width,
            height: size.height,
            method: if size.crop { "crop" } else { "scale" },
            animated,
        };
        self.note(media);
        if let Some(thumbnail) = self.made(key).await? {
            return self.open_thumbnail(media, thumbnail).await;
        }
        let length = u64::try_from(media.media_length).unwrap_or_default();
        let head = self.store().read_all(&media.object, 0..length.min(HEAD)).await?;
        picture::format(&head)?;
        if length > LONGEST {
            return Err(Error::PictureTooLarge);
        }
        let _turn = self.turns().take().await?;
        // Somebody else may have made it meanwhile.
        if let Some(thumbnail) = self.made(key).await? {
            return self.open_thumbnail(media, thumbnail).await;
        }
        let bytes = self.store().read_all(&media.object, 0..length).await?;
        let max_pixels = self.settings().max_picture_pixels;
        let made = blocking(move || {
            Ok(match picture::shrink(&bytes, size, animated, max_pixels)? {
                Shrunk::AsIs(media_type) => (media_type, None),
                Shrunk::Smaller(media_type, smaller) => (media_type, Some(Bytes::from(smaller))),
            })
        });
        match made.await? {
            (media_type, None) => {
                let thumbnail =
                    Thumbnail { media_type: media_type.to_owned(), length: 0, object: String::new() };
                let (kept, now) = (thumbnail.clone(), self.now());
                self.db().write(move |tx| objects::put_thumbnail(tx, key, &kept, now)).await?;
                self.open_thumbnail(media, thumbnail).await
            }
            (media_type, Some(smaller)) => {
                let mut upload = self.begin().await?;
                upload.write(&smaller).await?;
                let now = self.now();
                self.keep(upload, move |tx, stored| {
                    let (length, object) = (stored.length, stored.object.clone());
                    let thumbnail = Thumbnail { media_type: media_type.to_owned(), length, object };
                    Ok(objects::put_thumbnail(tx, key, &thumbnail, now)?)
                })
                .await?;
                let length = smaller.len() as u64;
                Ok(Made { media_type: media_type.to_owned(), length, content: Content::Whole(smaller) })
            }
        }
    }

    async fn made(&self, key: ThumbnailKey) -> Result<Option<Thumbnail>, Error> {
        Ok(self.db().read(move |tx| objects::thumbnail(tx, key)).await?)
    }

    async fn open_thumbnail(&self, media: &Media, thumbnail: Thumbnail) -> Result<Made, Error> {
        let (object, length) = match &*thumbnail.object {
            "" => (&media.object, media.media_length),
            object => (&object.to_owned(), thumbnail.length),
        };
        let length = u64::try_from(length).unwrap_or_default();
        let content = self.store().read(object, 0..length).await?;
        Ok(Made { media_type: thumbnail.media_type, length, content })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        let size = |width, height, crop| Size::for_wish(Size { width, height, crop });
        let got = |size: Size| (size.width, size.height, size.crop);
        assert_eq!(got(size(1, 1, true)), (32, 32, true));
        assert_eq!(got(size(32, 33, true)), (96, 96, true));
        assert_eq!(got(size(97, 10, true)), (320, 240, true));
        assert_eq!(got(size(320, 240, false)), (320, 240, false));
        assert_eq!(got(size(240, 320, false)), (640, 480, false));
        assert_eq!(got(size(801, 1, false)), (LARGEST, LARGEST, false));
        assert_eq!(got(size(801, 1, true)), (LARGEST, LARGEST, false));
    }

    proptest! {
        #[test]
        fn few_sizes_and_never_too_small(width in 1..=LARGEST, height in 1..=LARGEST, crop: bool) {
            let size = Size::for_wish(Size { width, height, crop });
            prop_assert!(size.width >= width && size.height >= height);
            prop_assert!(SIZES.contains(&size) || size.width == LARGEST);
        }
    }
}
