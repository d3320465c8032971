//! The uploads of the person: the list, and the files.

use futures_util::StreamExt as _;
use reeve_db::ReadTx;
use reeve_media::{Content, Error};
use reeve_store::media::{self, Media};

use super::{PAGE, Page, Source, Writing, is_full};
use crate::archive::Packing;
use crate::error::Failure;
use crate::format::Upload;

/// The longest media id that is the name of a file.
const MAX_NAME: usize = 64;

/// The extensions of files, by the types of uploads. Files of other types, such as web pages, get one that nothing opens.
const EXTENSIONS: &[(&str, &str)] = &[
    ("application/pdf", "pdf"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/wav", "wav"),
    ("image/gif", "gif"),
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/webp", "webp"),
    ("text/plain", "txt"),
    ("video/mp4", "mp4"),
    ("video/webm", "webm"),
];
const OTHER: &str = "bin";

/// Returns some uploads that were there when the archive was begun, after a media id.
fn page(source: &Source, tx: &ReadTx<'_>, after: &str) -> Result<(Vec<Media>, Option<String>), Failure> {
    let mut uploads = media::of_user_after(tx, source.export.user_num, after, PAGE)?;
    let next = uploads.last().filter(|_| is_full(&uploads)).map(|last| last.media_id.clone());
    uploads.retain(|upload| upload.created_ts <= source.began);
    Ok((uploads, next))
}

/// Returns the name of the file of an upload in the archive; `None` if it is not there: files that administrators withdrew are
/// not given out, and pictures of web pages are not the person's.
fn file_name(media: &Media) -> Option<String> {
    if media.quarantined_by.is_some() || media.url_cache.is_some() {
        return None;
    }
    let essence = media.media_type.split(';').next().unwrap_or_default().trim();
    let known = EXTENSIONS.iter().find(|(media_type, _)| media_type.eq_ignore_ascii_case(essence));
    let extension = known.filter(|_| !media.disguised).map_or(OTHER, |(_, extension)| extension);
    let is_plain = media.media_id.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_plain && (1..=MAX_NAME).contains(&media.media_id.len()) {
        Some(format!("media/{}.{extension}", media.media_id))
    } else {
        Some(format!("media/{}.{extension}", media.num))
    }
}

/// The upload after which a page begins, by its media id.
#[derive(Clone, Default)]
pub(super) struct After(String);

/// Returns some of the uploads.
pub(super) fn uploads(
    source: &Source,
    tx: &ReadTx<'_>,
    After(after): &After,
) -> Result<Page<After>, Failure> {
    let (uploads, next) = page(source, tx, after)?;
    let with_files = source.export.options.media;
    let uploads = uploads.into_iter().map(|media| Upload {
        file: file_name(&media).filter(|_| with_files),
        media_id: media.media_id,
        name: media.upload_name,
        media_type: media.media_type,
        length: media.media_length,
        sha256: media.sha256,
        created_ts: media.created_ts,
        last_access_ts: media.last_access_ts,
        preview_of: media.url_cache,
        quarantined: media.quarantined_by.is_some(),
    });
    let uploads: Vec<Upload> = uploads.collect();
    let names = uploads.iter().filter(|upload| upload.file.is_some()).count();
    let page = Page::of(uploads, next.map(After))?;
    Ok(Page { names: u64::try_from(names).unwrap_or_default(), ..page })
}

impl Writing {
    /// Writes the files of all uploads; returns the number of those that the list names and that are not there any more.
    pub(super) async fn media_files(&mut self) -> Result<u64, Failure> {
        let (mut written, mut after) = (0, Some(String::new()));
        while let Some(from) = after {
            let (uploads, next) = self.read(move |source, tx| page(source, tx, &from)).await?;
            for upload in uploads {
                written += u64::from(self.media_file(&upload).await?);
            }
            after = next;
        }
        Ok(self.named.saturating_sub(written))
    }

    /// Writes the file of an upload; returns false if it has none.
    async fn media_file(&mut self, media: &Media) -> Result<bool, Failure> {
        let Some(name) = file_name(media) else { return Ok(false) };
        let length = u64::try_from(media.media_length).unwrap_or_default();
        let content = match self.source.media.read_object(&media.object, 0..length).await {
            Ok(content) => content,
            Err(Error::NotFound) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.archive.start(name, Packing::Stored).await?;
        match content {
            Content::Whole(bytes) => self.archive.write(&bytes).await?,
            Content::Pieces(mut pieces) => {
                while let Some(piece) = pieces.next().await {
                    let lost = |error| {
                        Failure::transient(format!("the upload {} cannot be read: {error}", media.media_id))
                    };
                    self.archive.write(&piece.map_err(lost)?).await?;
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(media_id: &str, media_type: &str) -> Media {
        Media {
            num: 7,
            media_id: media_id.to_owned(),
            user_num: reeve_model::UserNum::ZERO,
            blob_num: 1,
            media_type: media_type.to_owned(),
            media_length: 0,
            upload_name: Some("../../etc/passwd".to_owned()),
            created_ts: reeve_model::Millis::ZERO,
            last_access_ts: None,
            quarantined_by: None,
            safe_from_quarantine: false,
            url_cache: None,
            authenticated: true,
            disguised: false,
            user_id: "@u:test".to_owned(),
            sha256: String::new(),
            object: "o".to_owned(),
        }
    }

    #[test]
    fn no_name_leads_out_of_the_archive() {
        for (media_id, media_type, expected) in [
            ("abcDEF012", "image/png", "media/abcDEF012.png"),
            ("abc", "IMAGE/JPEG; q=1", "media/abc.jpg"),
            ("abc", "text/html", "media/abc.bin"),
            ("../../x", "image/png", "media/7.png"),
            ("a/b", "x/../../y", "media/7.bin"),
            ("a\\b", "image/png", "media/7.png"),
            ("", "image/png", "media/7.png"),
        ] {
            assert_eq!(file_name(&named(media_id, media_type)).as_deref(), Some(expected));
        }
        let hidden = Media { quarantined_by: Some("@a:test".to_owned()), ..named("abc", "image/png") };
        assert_eq!(file_name(&hidden), None);
        let disguised = Media { disguised: true, ..named("abc", "image/png") };
        assert_eq!(file_name(&disguised).as_deref(), Some("media/abc.bin"));
    }
}
