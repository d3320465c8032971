//! The content repository.
//! <https://spec.matrix.org/v1.18/client-server-api/#content-repository>

mod download;
mod preview;
mod range;
mod thumbnail;
mod upload;

use std::time::Duration;

use reeve_http::{Access, Answer, Call, Content, Limit, MatrixError, Param, Reading, Route, reply, shape};
use reeve_media::deeds;
use reeve_store::media::Media;
use serde_json::json;

use crate::shapes;

/// How long a client waits for bytes that have not come, unless it says otherwise.
const WAIT_MS: i64 = 20_000;
/// The longest that it can wait.
const LONGEST_WAIT_MS: i64 = 60_000;

const TIMEOUT: Param = Param::integer(
    "timeout_ms",
    "how long to wait for bytes that have not come, in milliseconds; 20000 if not given",
);
/// By this parameter an administrator sees what is quarantined.
const BYPASS: &str = "admin_unsafely_bypass_quarantine";
const BYPASS_QUARANTINE: Param = Param::boolean(
    BYPASS,
    "`true` to get a file although it is quarantined, which only administrators can; it is audited",
);
const NOT_FOUND: (u16, &str, &str) =
    (404, "M_NOT_FOUND", "there is no such upload, it is quarantined, or it is another server's");
const NOT_YET: (u16, &str, &str) = (504, "M_NOT_YET_UPLOADED", "the bytes have not come yet");
const FULL: (u16, &str, &str) = (403, "M_FORBIDDEN", "the account, or the server, has no room for it");
const TOO_LARGE: (u16, &str, &str) = (413, "M_TOO_LARGE", "it is longer than uploads may be");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read("/_matrix/client/v1/media/config", config)
            .also("/_matrix/media/v3/config")
            .also("/_matrix/media/r0/config")
            .also("/_matrix/media/v1/config")
            .access(Access::User)
            .id("getConfigAuthed")
            .returns::<shapes::UploadLimit>(200)
            .summary("How long an upload may be")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1mediaconfig"),
        Route::post("/_matrix/media/v3/upload", upload::upload)
            .also("/_matrix/media/r0/upload")
            .also("/_matrix/media/v1/upload")
            .access(Access::User)
            .limit(Limit::Media)
            .uploads()
            .id("uploadContent")
            .returns::<shapes::ContentUri>(200)
            .summary("Uploads a file")
            .query([Param::text("filename", "the name of the file")])
            .errors(&[FULL, TOO_LARGE])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixmediav3upload"),
        Route::post("/_matrix/media/v1/create", upload::create)
            .access(Access::User)
            .limit(Limit::Media)
            .id("createContent")
            .returns::<shapes::ReservedUri>(200)
            .summary("Gives out the address of a file that will be uploaded later")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixmediav1create"),
        Route::put("/_matrix/media/v3/upload/{serverName}/{mediaId}", upload::upload_to)
            .also("/_matrix/media/r0/upload/{serverName}/{mediaId}")
            .also("/_matrix/media/v1/upload/{serverName}/{mediaId}")
            .access(Access::User)
            .limit(Limit::Media)
            .uploads()
            .id("uploadContentToMXC")
            .returns::<shape::Empty>(200)
            .summary("Uploads a file to an address that was given out before")
            .query([Param::text("filename", "the name of the file")])
            .errors(&[
                FULL,
                (403, "M_FORBIDDEN", "the address was given out to somebody else"),
                (404, "M_NOT_FOUND", "the address was not given out, or too long ago"),
                (409, "M_CANNOT_OVERWRITE_MEDIA", "the file is there already"),
                TOO_LARGE,
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixmediav3uploadservernamemediaid"),
        Route::get("/_matrix/client/v1/media/preview_url", preview::preview_url)
            .also("/_matrix/media/v3/preview_url")
            .also("/_matrix/media/r0/preview_url")
            .also("/_matrix/media/v1/preview_url")
            .access(Access::User)
            .limit(Limit::UrlPreviews)
            .id("getUrlPreviewAuthed")
            .returns::<shape::AnyObject>(200)
            .summary("What a web page says of itself, for a link to it")
            .description("Off unless the settings switch it on.")
            .query([
                Param::text("url", "the address of the page").required(),
                Param::integer("ts", "the time of which the preview is wanted; the newest is given"),
            ])
            .errors(preview::ERRORS)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1mediapreview_url"),
        Route::get("/_matrix/client/v1/media/download/{serverName}/{mediaId}", download::download)
            .also("/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}")
            .access(Access::Guest)
            .id("getContentAuthed")
            .returns_other(200, Content::Bytes)
            .returns_other(206, Content::Bytes)
            .returns_other(304, Content::Nothing)
            .summary("Downloads a file")
            .description("Answers to `Range`, `If-Range` and `If-None-Match`.")
            .query([TIMEOUT, BYPASS_QUARANTINE])
            .errors(&[NOT_FOUND, (416, "M_UNKNOWN", "the range lies beyond the file"), NOT_YET])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid"),
        Route::get("/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}", thumbnail::thumbnail)
            .access(Access::Guest)
            .id("getContentThumbnailAuthed")
            .returns_other(200, Content::Bytes)
            .returns_other(304, Content::Nothing)
            .summary("Downloads a picture, smaller")
            .query(thumbnail::query())
            .errors(thumbnail::ERRORS)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid"),
        Route::get("/_matrix/media/v3/download/{serverName}/{mediaId}", download::download_open)
            .also("/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}")
            .also("/_matrix/media/r0/download/{serverName}/{mediaId}")
            .also("/_matrix/media/r0/download/{serverName}/{mediaId}/{fileName}")
            .also("/_matrix/media/v1/download/{serverName}/{mediaId}")
            .also("/_matrix/media/v1/download/{serverName}/{mediaId}/{fileName}")
            .access(Access::Anybody)
            .id("getContent")
            .returns_other(200, Content::Bytes)
            .returns_other(206, Content::Bytes)
            .returns_other(304, Content::Nothing)
            .summary("Downloads a file that needs no access token")
            .description("New uploads always need one.")
            .query([TIMEOUT])
            .errors(&[NOT_FOUND, (416, "M_UNKNOWN", "the range lies beyond the file"), NOT_YET])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixmediav3downloadservernamemediaid"),
        Route::get("/_matrix/media/v3/thumbnail/{serverName}/{mediaId}", thumbnail::thumbnail_open)
            .also("/_matrix/media/r0/thumbnail/{serverName}/{mediaId}")
            .also("/_matrix/media/v1/thumbnail/{serverName}/{mediaId}")
            .access(Access::Anybody)
            .id("getContentThumbnail")
            .returns_other(200, Content::Bytes)
            .returns_other(304, Content::Nothing)
            .summary("Downloads a picture that needs no access token, smaller")
            .description("New uploads always need one.")
            .query(thumbnail::query())
            .errors(thumbnail::ERRORS)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixmediav3thumbnailservernamemediaid"),
    ]
}

fn config(call: &Reading<'_>) -> Answer {
    reply::ok(&json!({ "m.upload.size": call.app.media.settings().max_upload_bytes }))
}

/// What a path names. With `open`, only what needs no access token.
async fn find(call: &Call, open: bool) -> Result<Media, MatrixError> {
    let wait = call.query.integer("timeout_ms")?.unwrap_or(WAIT_MS).min(LONGEST_WAIT_MS);
    let not_found = || MatrixError::from(reeve_media::Error::NotFound);
    // Other servers cannot be asked.
    if call.params.get("serverName") != &*call.app.server_name {
        return Err(not_found());
    }
    // New uploads are not for everybody: there is nothing to wait for.
    let wait = Duration::from_millis(if open { 0 } else { u64::try_from(wait).unwrap_or_default() });
    let bypass = !open && call.query.boolean(BYPASS)?.unwrap_or(false) && call.user()?.admin;
    let media_id = call.params.get("mediaId");
    let found = call.app.media.find(media_id, bypass, wait, call.app.stopping()).await;
    if let Ok(media) = &found
        && media.quarantined_by.is_some()
    {
        let (ctx, media_id) = (call.admin_ctx()?, media.media_id.clone());
        call.write(move |tx| deeds::note_bypass(tx, &ctx, &media_id)).await?;
    }
    match found {
        Ok(media) if open && media.authenticated => Err(not_found()),
        Err(reeve_media::Error::NotYetUploaded) if open => Err(not_found()),
        found => Ok(found?),
    }
}
