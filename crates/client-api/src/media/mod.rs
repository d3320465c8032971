//! The content repository.
//! <https://spec.matrix.org/v1.18/client-server-api/#content-repository>

mod download;
mod preview;
pub(crate) mod range;
mod thumbnail;
mod upload;

use std::time::Duration;

use reeve_app::reply::Body;
use reeve_app::{
    Access, Answer, App, Call, Content, Limit, MatrixError, Param, Reading, Route, reply, shape,
};
use reeve_media::deeds;
use reeve_model::Scope;
use reeve_store::media::Media;
use serde_json::json;

use crate::shapes;

/// Default time to wait for a pending upload.
const WAIT_MS: i64 = 20_000;
/// Maximum time to wait for a pending upload.
const MAX_WAIT_MS: i64 = 60_000;

const TIMEOUT: Param =
    Param::integer("timeout_ms", "time to wait for a pending upload, in milliseconds; 20000 by default");
/// The parameter with which an administrator reads quarantined media.
const BYPASS: &str = "admin_unsafely_bypass_quarantine";
const BYPASS_QUARANTINE: Param = Param::boolean(
    BYPASS,
    "`true` to read a quarantined file, for administrators only; the request is audited",
);
const NOT_FOUND: (u16, &str, &str) =
    (404, "M_NOT_FOUND", "there is no such upload, it is quarantined, or it is on another server");
const NOT_YET: (u16, &str, &str) = (504, "M_NOT_YET_UPLOADED", "the file was not uploaded yet");
const FULL: (u16, &str, &str) =
    (403, "M_FORBIDDEN", "the upload limit of the account or the server is reached");
const TOO_LARGE: (u16, &str, &str) = (413, "M_TOO_LARGE", "the file is larger than the maximum upload size");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read("/_matrix/client/v1/media/config", config)
            .also("/_matrix/media/v3/config")
            .also("/_matrix/media/r0/config")
            .also("/_matrix/media/v1/config")
            .access(Access::User)
            .id("getConfigAuthed")
            .returns::<shapes::media::UploadLimit>(200)
            .summary("Returns the maximum upload size")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1mediaconfig"),
        Route::post("/_matrix/media/v3/upload", upload::upload)
            .also("/_matrix/media/r0/upload")
            .also("/_matrix/media/v1/upload")
            .access(Access::User)
            .limit(Limit::Media)
            .takes_bytes(max_upload)
            .id("uploadContent")
            .returns::<shapes::media::ContentUri>(200)
            .summary("Uploads a file")
            .query([Param::text("filename", "the name of the file")])
            .errors(&[FULL, TOO_LARGE])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixmediav3upload"),
        Route::post("/_matrix/media/v1/create", upload::create)
            .access(Access::User)
            .limit(Limit::Media)
            .id("createContent")
            .returns::<shapes::media::ReservedUri>(200)
            .summary("Creates a media URI to which a file can be uploaded later")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixmediav1create"),
        Route::put("/_matrix/media/v3/upload/{serverName}/{mediaId}", upload::upload_to)
            .also("/_matrix/media/r0/upload/{serverName}/{mediaId}")
            .also("/_matrix/media/v1/upload/{serverName}/{mediaId}")
            .access(Access::User)
            .limit(Limit::Media)
            .takes_bytes(max_upload)
            .id("uploadContentToMXC")
            .returns::<shape::Empty>(200)
            .summary("Uploads a file to a media URI created before")
            .query([Param::text("filename", "the name of the file")])
            .errors(&[
                FULL,
                (403, "M_FORBIDDEN", "the media URI belongs to another account"),
                (404, "M_NOT_FOUND", "the media URI does not exist or has expired"),
                (409, "M_CANNOT_OVERWRITE_MEDIA", "the file was already uploaded"),
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
            .summary("Returns a preview of a web page")
            .description("Disabled by default.")
            .query([
                Param::text("url", "the URL of the page").required(),
                Param::integer("ts", "the preferred time of the preview; the newest preview is returned"),
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
            .description("Supports `Range`, `If-Range` and `If-None-Match`.")
            .query([TIMEOUT, BYPASS_QUARANTINE])
            .errors(&[NOT_FOUND, (416, "M_UNKNOWN", "the range lies beyond the file"), NOT_YET])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid"),
        Route::get("/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}", thumbnail::thumbnail)
            .access(Access::Guest)
            .id("getContentThumbnailAuthed")
            .returns_other(200, Content::Bytes)
            .returns_other(304, Content::Nothing)
            .summary("Downloads a thumbnail")
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
            .summary("Downloads a thumbnail that needs no access token")
            .description("New uploads always need one.")
            .query(thumbnail::query())
            .errors(thumbnail::ERRORS)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixmediav3thumbnailservernamemediaid"),
    ]
}

/// Returns the maximum size of an upload, in bytes.
fn max_upload(app: &App) -> usize {
    usize::try_from(app.media.settings().max_upload_bytes).unwrap_or(usize::MAX)
}

/// Returns the body of a response with bytes of the media store.
pub(crate) fn body(content: reeve_media::Content) -> Body {
    match content {
        reeve_media::Content::Whole(bytes) => Body::from(bytes),
        reeve_media::Content::Pieces(pieces) => Body::from_stream(pieces),
    }
}

fn config(call: &Reading<'_>) -> Answer {
    reply::ok(&json!({ "m.upload.size": call.app.media.settings().max_upload_bytes }))
}

/// Returns the upload that a path names. With `open`, only one that needs no access token.
async fn find(call: &Call, open: bool) -> Result<Media, MatrixError> {
    let wait = call.query.integer("timeout_ms")?.unwrap_or(WAIT_MS).min(MAX_WAIT_MS);
    let not_found = || MatrixError::from(reeve_media::Error::NotFound);
    // Other servers are not contacted.
    if call.params.get("serverName") != &*call.app.server_name {
        return Err(not_found());
    }
    // New uploads need an access token, so there is nothing to wait for.
    let wait = Duration::from_millis(if open { 0 } else { u64::try_from(wait).unwrap_or_default() });
    let bypass =
        !open && call.query.boolean(BYPASS)?.unwrap_or(false) && call.caller().holds(Scope::MediaRead);
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
