//! Downloads.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use reeve_app::{Answer, Call, Family, MatrixError, reply};
use reeve_media::name;
use reeve_store::media::Media;

use super::range::{self, Part};

/// The content security policy of downloads: a page that shows a file may do nothing.
/// <https://spec.matrix.org/v1.18/client-server-api/#content-repository>
const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                      style-src 'unsafe-inline'; object-src 'self';";

pub(super) async fn download(call: Call) -> Answer {
    answer(&call, false).await
}

pub(super) async fn download_open(call: Call) -> Answer {
    answer(&call, true).await
}

async fn answer(call: &Call, open: bool) -> Answer {
    let media = super::find(call, open).await?;
    let etag = etag(&media);
    if is_known(&call.headers, &etag) {
        call.app.media.note(&media);
        return not_modified(open, &media, &etag);
    }
    let length = u64::try_from(media.media_length).map_err(MatrixError::internal)?;
    let (status, range) = match range::asked(&call.headers, &etag, length) {
        Part::Whole => (StatusCode::OK, 0..length),
        Part::Range(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Beyond => return beyond(length),
    };
    let content = call.app.media.read(&media, range.clone()).await?;
    let mut response = reply::bytes(range.end - range.start, super::body(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status == StatusCode::PARTIAL_CONTENT {
        let said = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
        headers.insert(header::CONTENT_RANGE, value(&said)?);
    }
    let given = Some(call.params.get("fileName")).filter(|name| !name.is_empty());
    let file_name = given.or(media.upload_name.as_deref());
    let inline = name::is_inline(&media.media_type) && !media.disguised;
    headers.insert(header::CONTENT_TYPE, value(&media.media_type)?);
    headers.insert(header::CONTENT_DISPOSITION, value(&name::disposition(inline, file_name))?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    guard(headers);
    cache(headers, open, &media, &etag)?;
    Ok(response)
}

pub(super) fn value(text: &str) -> Result<HeaderValue, MatrixError> {
    HeaderValue::from_str(text).map_err(MatrixError::internal)
}

/// Returns the entity tag of an upload's bytes.
pub(super) fn etag(media: &Media) -> String {
    format!("\"{}\"", media.sha256)
}

/// Returns true if the client already has these bytes.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = given.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Returns 304: the client has the current bytes.
pub(super) fn not_modified(open: bool, media: &Media, etag: &str) -> Answer {
    let mut response = reply::nothing(StatusCode::NOT_MODIFIED);
    cache(response.headers_mut(), open, media, etag)?;
    Ok(response)
}

fn beyond(length: u64) -> Answer {
    let error = MatrixError::new(416, "M_UNKNOWN", "The requested range lies beyond the file");
    let mut response = reply::error(Family::Matrix, &error);
    response.headers_mut().insert(header::CONTENT_RANGE, value(&format!("bytes */{length}"))?);
    Ok(response)
}

/// Keeps browsers from doing anything with a file except showing it.
pub(super) fn guard(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
}

/// Adds the header for caches. Bytes never change, but a file can be quarantined or deleted: clients may cache it for
/// a day, and not at all afterwards.
pub(super) fn cache(
    headers: &mut HeaderMap,
    open: bool,
    media: &Media,
    etag: &str,
) -> Result<(), MatrixError> {
    let kept = match (media.quarantined_by.is_some(), open) {
        (true, _) => "no-store",
        (false, true) => "public, max-age=86400, s-maxage=86400",
        (false, false) => "private, max-age=86400",
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(header::ETAG, value(etag)?);
    Ok(())
}
