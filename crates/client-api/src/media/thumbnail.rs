//! Thumbnails.

use http::{HeaderValue, header};
use reeve_app::{Answer, Call, MatrixError, Param, reply};
use reeve_media::size::{LARGEST, Size};

/// The resizing methods, with true for cropping.
const METHODS: [(&str, bool); 2] = [("crop", true), ("scale", false)];

use super::{BYPASS_QUARANTINE, NOT_FOUND, NOT_YET, TIMEOUT, download};

/// Returns the query parameters.
pub(super) fn query() -> [Param; 6] {
    [
        Param::integer("width", "the minimum width, in pixels").required(),
        Param::integer("height", "the minimum height, in pixels").required(),
        Param::choice(
            "method",
            &METHODS,
            "`scale` (the whole picture, the default) or `crop` (cut to this aspect ratio)",
        ),
        Param::boolean("animated", "`true` to keep animations; `false` by default"),
        TIMEOUT,
        BYPASS_QUARANTINE,
    ]
}
pub(super) const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_INVALID_PARAM", "a parameter is not valid"),
    (400, "M_UNKNOWN", "the file is not a picture of a supported format"),
    NOT_FOUND,
    (413, "M_TOO_LARGE", "the picture has too many pixels"),
    NOT_YET,
];

pub(super) async fn thumbnail(call: Call) -> Answer {
    answer(&call, false).await
}

pub(super) async fn thumbnail_open(call: Call) -> Answer {
    answer(&call, true).await
}

async fn answer(call: &Call, open: bool) -> Answer {
    let crop = call.query.choice("method", &METHODS)?.unwrap_or(false);
    let wish = Size { width: side(call, "width")?, height: side(call, "height")?, crop };
    let animated = call.query.boolean("animated")?.unwrap_or(false);
    let media = super::find(call, open).await?;
    let size = Size::for_wish(wish);
    let etag = format!(
        "\"{}-{}x{}{}{}\"",
        media.sha256,
        size.width,
        size.height,
        if size.crop { "-crop" } else { "" },
        if animated { "-animated" } else { "" }
    );
    if download::is_known(&call.headers, &etag) {
        call.app.media.note(&media);
        return download::not_modified(open, &media, &etag);
    }
    let who = if open { &*call.ip } else { &*call.user()?.user_id };
    let made = call.app.media.thumbnail(who, &media, size, animated).await?;
    let disposition = match &*made.media_type {
        "image/jpeg" => "inline; filename=\"thumbnail.jpg\"",
        "image/gif" => "inline; filename=\"thumbnail.gif\"",
        "image/webp" => "inline; filename=\"thumbnail.webp\"",
        _ => "inline; filename=\"thumbnail.png\"",
    };
    let mut response = reply::bytes(made.length, super::body(made.content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, download::value(&made.media_type)?);
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    download::guard(headers);
    download::cache(headers, open, &media, &etag)?;
    Ok(response)
}

fn side(call: &Call, name: &str) -> Result<u32, MatrixError> {
    let side = call.query.required_integer(name)?;
    u32::try_from(side).ok().filter(|side| (1..=LARGEST).contains(side)).ok_or_else(|| {
        MatrixError::invalid_param(format!("Query parameter {name} must be between 1 and {LARGEST}"))
    })
}
