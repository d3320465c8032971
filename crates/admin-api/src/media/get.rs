//! Details of one upload.

use reeve_app::{Access, Answer, MatrixError, Reading, Route, reply};
use reeve_model::{Millis, Scope};
use reeve_store::media;
use serde::Serialize;
use utoipa::ToSchema;

use super::is_own_server;

/// The details of an upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MediaAnswer {
    media_info: MediaInfo,
}

/// An upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MediaInfo {
    /// Always null: the server of origin, for media of other servers.
    #[schema(required)]
    media_origin: Option<String>,
    user_id: String,
    media_id: String,
    media_type: String,
    /// In bytes.
    media_length: i64,
    #[schema(required)]
    upload_name: Option<String>,
    /// When it was uploaded, in milliseconds.
    created_ts: i64,
    /// Always null: the name in the store, for media of other servers.
    #[schema(required)]
    filesystem_id: Option<String>,
    /// The URL of the page, if the upload is the picture of a preview.
    #[schema(required)]
    url_cache: Option<String>,
    /// The time of the last download, in milliseconds; updated about once a minute.
    #[schema(required)]
    last_access_ts: Option<i64>,
    #[schema(required)]
    quarantined_by: Option<String>,
    /// True if an access token is needed to download it.
    authenticated: bool,
    safe_from_quarantine: bool,
    /// The digest of its bytes, in hexadecimal.
    sha256: String,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/media/{server_name}/{media_id}", handle)
        .access(Access::Admin(Scope::MediaRead))
        .id("getMedia")
        .summary("Returns the details of an upload")
        .returns::<MediaAnswer>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such upload")])
}

fn handle(call: &Reading<'_>) -> Answer {
    let found = if is_own_server(call) { media::find(call.tx, &call.param("media_id"))? } else { None };
    let media = found.ok_or_else(|| MatrixError::not_found("Unknown media"))?;
    reply::ok(&MediaAnswer {
        media_info: MediaInfo {
            media_origin: None,
            user_id: media.user_id,
            media_id: media.media_id,
            media_type: media.media_type,
            media_length: media.media_length,
            upload_name: media.upload_name,
            created_ts: media.created_ts.get(),
            filesystem_id: None,
            url_cache: media.url_cache,
            last_access_ts: media.last_access_ts.map(Millis::get),
            quarantined_by: media.quarantined_by,
            authenticated: media.authenticated,
            safe_from_quarantine: media.safe_from_quarantine,
            sha256: media.sha256,
        },
    })
}
