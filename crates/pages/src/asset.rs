//! The files that pages load.

use http::{HeaderValue, header};
use reeve_app::{Access, Answer, Call, Content, MatrixError, Route, reply};

/// The name of an asset changes with its contents, so that it can be kept for ever.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_reeve/pages/assets/{asset}", serve)
            .access(Access::Anybody)
            .id("getPageAsset")
            .returns_other(200, Content::Bytes)
            .summary("Returns a file that pages load, such as the stylesheet")
            .errors(&[(404, "M_NOT_FOUND", "there is no such file")]),
    ]
}

async fn serve(call: Call) -> Answer {
    let asset = call.app.html.asset(call.params.get("asset"));
    let asset = asset.ok_or_else(|| MatrixError::not_found("There is no such file"))?;
    let length = u64::try_from(asset.bytes.len()).unwrap_or(u64::MAX);
    let mut response = reply::bytes(length, reply::Body::from(asset.bytes.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(header::CACHE_CONTROL, FOR_EVER);
    Ok(response)
}
