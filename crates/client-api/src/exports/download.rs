//! Downloads of archives, for everybody who knows the link.

use std::sync::Arc;

use http::header::{self, HeaderName};
use http::{HeaderValue, StatusCode};
use reeve_app::{Access, Answer, Call, Content, Family, MatrixError, Route, reply};
use reeve_media::name;
use reeve_model::id;

use crate::media::range::{self, Part};

/// Headers that keep an archive out of caches, pages, logs of other servers and search engines.
const PRIVATE: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "private, no-store"),
    (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::ACCEPT_RANGES, "bytes"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

pub(super) fn route() -> Route {
    Route::get(&format!("{}{{export_token}}", reeve_export::DOWNLOAD), download)
        .access(Access::Anybody)
        .id("downloadExport")
        .summary("Downloads the archive of a link")
        .description("Supports `Range` and `If-Range`. The link is checked when a request begins.")
        .returns_other(200, Content::Bytes)
        .returns_other(206, Content::Bytes)
        .errors(&[
            (
                404,
                "M_NOT_FOUND",
                "the link is unknown, was replaced, or has ended, or the caller who made it could not do so any more",
            ),
            (416, "M_UNKNOWN", "the range lies beyond the archive"),
        ])
}

fn value(text: &str) -> Result<HeaderValue, MatrixError> {
    HeaderValue::from_str(text).map_err(MatrixError::internal)
}

async fn download(call: Call) -> Answer {
    let (token, ctx, app) = (call.param("export_token"), call.ctx(), Arc::clone(&call.app));
    let (export, archive) = call.read(move |tx| reeve_export::open(tx, &ctx, &app.policy, &token)).await?;
    let etag = format!("\"{}\"", archive.sha256);
    let length = u64::try_from(archive.length).map_err(MatrixError::internal)?;
    let (status, range) = match range::asked(&call.headers, &etag, length) {
        Part::Whole => (StatusCode::OK, 0..length),
        Part::Range(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Beyond => {
            let error = MatrixError::new(416, "M_UNKNOWN", "The requested range lies beyond the archive");
            let mut response = reply::error(Family::Matrix, &error);
            response.headers_mut().insert(header::CONTENT_RANGE, value(&format!("bytes */{length}"))?);
            return Ok(response);
        }
    };
    // A download that goes on where another one broke off is the same.
    if reeve_export::is_noted(&export, range.start == 0) {
        let (ctx, export) = (call.ctx(), export.clone());
        call.write(move |tx| reeve_export::note(tx, &ctx, &export)).await?;
    }
    let content = call.app.exports.read(&archive, range.clone()).await?;
    let mut response = reply::bytes(range.end - range.start, crate::media::body(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status == StatusCode::PARTIAL_CONTENT {
        let said = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
        headers.insert(header::CONTENT_RANGE, value(&said)?);
    }
    let is_sealed = export.options.recipient.is_some();
    let (media_type, extension) =
        if is_sealed { ("application/octet-stream", "zip.age") } else { ("application/zip", "zip") };
    let file_name = format!("export-{}.{extension}", id::localpart(&export.user_id));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_DISPOSITION, value(&name::disposition(false, Some(&file_name)))?);
    headers.insert(header::ETAG, value(&etag)?);
    for (name, text) in PRIVATE {
        headers.insert(name, HeaderValue::from_static(text));
    }
    Ok(response)
}
