//! Thumbnails: their sizes, creation and storage.
//! <https://spec.matrix.org/v1.18/client-server-api/#thumbnails>

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use reeve_store::media::Media;
use reeve_store::media_objects::{self as objects, Thumbnail, ThumbnailKey};

use crate::Error;
use crate::library::Library;
use crate::picture::{self, Shrunk};
use crate::store::{Content, blocking};
use crate::turns::Turn;

/// Number of bytes that identify the format.
const HEAD: u64 = 64;
/// Maximum size of a file that is decoded, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;
/// Maximum number of thumbnails of one requester that are in progress or in the common queue.
pub(crate) const EACH: usize = 8;
/// Maximum number of remembered failures.
const MOST_REFUSED: usize = 10_000;
/// Maximum width and height in a request, in pixels.
pub const LARGEST: u32 = 65_535;

/// A size of thumbnails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Maximum width, in pixels.
    pub width: u32,
    /// Maximum height, in pixels.
    pub height: u32,
    /// True to crop the picture to this shape; else all of it is shown, within this frame.
    pub crop: bool,
}

/// All sizes, so that not every requested size creates another file.
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
    /// The smallest size that is at least as large as the requested one; for larger requests, the size of the
    /// picture.
    pub fn for_wish(wish: Self) -> Self {
        let enough =
            |size: &&Self| size.crop == wish.crop && size.width >= wish.width && size.height >= wish.height;
        let whole = Self { width: LARGEST, height: LARGEST, crop: false };
        SIZES.iter().find(enough).copied().unwrap_or(whole)
    }
}

/// Files that no thumbnail can be made of, so that they are not fetched and decoded again.
#[derive(Default)]
pub(crate) struct Refused(Mutex<HashMap<ThumbnailKey, Refusal>>);

#[derive(Clone, Copy)]
enum Refusal {
    NotAPicture,
    TooLarge,
}

impl Refused {
    fn check(&self, key: ThumbnailKey) -> Result<(), Error> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            None => Ok(()),
            Some(Refusal::NotAPicture) => Err(Error::NotAPicture),
            Some(Refusal::TooLarge) => Err(Error::PictureTooLarge),
        }
    }

    fn note(&self, key: ThumbnailKey, error: &Error) {
        let refusal = match error {
            Error::NotAPicture => Refusal::NotAPicture,
            Error::PictureTooLarge => Refusal::TooLarge,
            _ => return,
        };
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MOST_REFUSED {
            refused.clear();
        }
        refused.insert(key, refusal);
    }
}

/// Runs long work on a blocking thread. The permit is held as long as the work runs, even if the request is
/// cancelled.
async fn during<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<(T, Turn), Error> {
    blocking(move || {
        let done = work()?;
        Ok((done, turn))
    })
    .await
}

/// A thumbnail to send.
pub struct Made {
    /// Its content type.
    pub media_type: String,
    /// Its length, in bytes.
    pub length: u64,
    /// Its bytes.
    pub content: Content,
}

impl Library {
    /// A thumbnail of an upload: an existing one, a new one that is stored, or the picture itself if it is
    /// small enough. `who` is the requester: an account or an address.
    pub async fn thumbnail(
        &self,
        who: &str,
        media: &Media,
        size: Size,
        animated: bool,
    ) -> Result<Made, Error> {
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
        self.refused().check(key)?;
        let made = self.make(who, media, key, size).await;
        if let Err(error) = &made {
            self.refused().note(key, error);
        }
        made
    }

    async fn make(&self, who: &str, media: &Media, key: ThumbnailKey, size: Size) -> Result<Made, Error> {
        let length = u64::try_from(media.media_length).unwrap_or_default();
        let head = self.store().read_all(&media.object, 0..length.min(HEAD)).await?;
        picture::format(&head)?;
        if length > LONGEST {
            return Err(Error::PictureTooLarge);
        }
        let turn = self.turns().take(who).await?;
        // Another request may have made it meanwhile, or failed to.
        if let Some(thumbnail) = self.made(key).await? {
            return self.open_thumbnail(media, thumbnail).await;
        }
        self.refused().check(key)?;
        let bytes = self.store().read_all(&media.object, 0..length).await?;
        let max_pixels = self.settings().max_picture_pixels;
        // The permit is held until the thumbnail is stored, so that waiting requests find it.
        let (shrunk, _turn) =
            during(turn, move || picture::shrink(&bytes, size, key.animated, max_pixels)).await?;
        match shrunk {
            Shrunk::AsIs(media_type) => {
                let thumbnail =
                    Thumbnail { media_type: media_type.to_owned(), length: 0, object: String::new() };
                let (kept, now) = (thumbnail.clone(), self.now());
                self.db().write(move |tx| objects::put_thumbnail(tx, key, &kept, now)).await?;
                self.open_thumbnail(media, thumbnail).await
            }
            Shrunk::Smaller(media_type, smaller) => {
                let smaller = Bytes::from(smaller);
                let mut upload = self.begin(media.user_num).await?;
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
    use crate::turns::Turns;

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

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_the_work() {
        let turns = Turns::new(1, EACH);
        let (began, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel();
        let turn = turns.take("a").await.unwrap();
        let request = tokio::spawn(during(turn, move || {
            began.send(()).unwrap();
            ended.recv().map_err(Error::store)
        }));
        begun.await.unwrap();
        // The request is gone; the work is not.
        request.abort();
        assert!(request.await.is_err());
        assert_eq!(turns.waiting(), 1);
        end.send(()).unwrap();
        turns.take("b").await.unwrap();
        assert_eq!(turns.waiting(), 0);
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
