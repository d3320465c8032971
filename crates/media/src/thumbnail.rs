//! Thumbnails: their creation and storage.
//! <https://spec.matrix.org/v1.18/client-server-api/#thumbnails>

use bytes::Bytes;
use reeve_store::media::Media;
use reeve_store::media_objects::{self as objects, Thumbnail, ThumbnailKey};

use crate::Error;
use crate::fair_limiter::Permit;
use crate::library::Library;
use crate::picture::{self, Shrunk};
use crate::size::Size;
use crate::store::{Content, blocking};

/// Number of bytes that identify the format.
const HEAD: u64 = 64;
/// Maximum size of a file that is decoded, in bytes.
const MAX: u64 = 64 * 1024 * 1024;
/// Runs long work on a blocking thread. The permit is held as long as the work runs, even if the request is
/// cancelled.
async fn during<T: Send + 'static>(
    permit: Permit,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<(T, Permit), Error> {
    blocking(move || {
        let done = work()?;
        Ok((done, permit))
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
        if length > MAX {
            return Err(Error::PictureTooLarge);
        }
        let permit = self.limiter().take(who).await?;
        // Another request may have made it meanwhile, or failed to.
        if let Some(thumbnail) = self.made(key).await? {
            return self.open_thumbnail(media, thumbnail).await;
        }
        self.refused().check(key)?;
        let bytes = self.store().read_all(&media.object, 0..length).await?;
        let max_pixels = self.settings().max_picture_pixels;
        // The permit is held until the thumbnail is stored, so that waiting requests find it.
        let (shrunk, _turn) =
            during(permit, move || picture::shrink(&bytes, size, key.animated, max_pixels)).await?;
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
                self.keep(upload, move |tx, stored| -> Result<(), Error> {
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
    use super::*;
    use crate::fair_limiter::FairLimiter;

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_the_work() {
        let limiter = FairLimiter::new(1, 8);
        let (began, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel();
        let permit = limiter.take("a").await.unwrap();
        let request = tokio::spawn(during(permit, move || {
            began.send(()).unwrap();
            ended.recv().map_err(Error::store)
        }));
        begun.await.unwrap();
        // The request is gone; the work is not.
        request.abort();
        assert!(request.await.is_err());
        assert_eq!(limiter.waiting().get(), 1);
        end.send(()).unwrap();
        limiter.take("b").await.unwrap();
        assert_eq!(limiter.waiting().get(), 0);
    }
}
