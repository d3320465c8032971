//! Previews of web pages.

use reeve_app::{Answer, Call, MatrixError, reply};
use reeve_previews::Error;

pub(super) const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_INVALID_PARAM", "the URL is not that of a web page"),
    (403, "M_FORBIDDEN", "the URL is inside the network of the server"),
    (404, "M_UNRECOGNIZED", "previews are disabled on this server"),
    (502, "M_UNKNOWN", "the page cannot be fetched"),
];

pub(super) async fn preview_url(call: Call) -> Answer {
    let Some(previews) = &call.app.previews else {
        return Err(MatrixError::new(404, "M_UNRECOGNIZED", "Unrecognized request"));
    };
    call.query.integer("ts")?;
    let url = call.query.utf8("url")?.filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| MatrixError::missing_params(&["url"]))?;
    match previews.preview(call.user()?.num, &url).await {
        Ok(preview) => reply::ok(&*preview),
        Err(error) => {
            let text = error.to_string();
            Err(match error {
                Error::Unsuitable => MatrixError::invalid_param(text),
                Error::Inside => MatrixError::forbidden(text),
                Error::Fetch(_) => MatrixError::new(502, "M_UNKNOWN", text),
            })
        }
    }
}
