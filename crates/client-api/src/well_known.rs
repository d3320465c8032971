//! Discovery of the server by clients.
//! <https://spec.matrix.org/v1.18/client-server-api/#well-known-uri>

use reeve_app::{Access, Answer, Call, MatrixError, Route, reply};
use serde_json::{Value, json};

use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/.well-known/matrix/client", handle)
            .also("/.well-known/matrix/client/")
            .access(Access::Anybody)
            .id("getWellknown")
            .returns::<shapes::server::WellKnown>(200)
            .summary("Returns the URL at which clients reach the server")
            .errors(&[(404, "M_NOT_FOUND", "`public_base_url` is not set")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#getwell-knownmatrixclient"),
        Route::get("/.well-known/matrix/support", support)
            .access(Access::Anybody)
            .id("getWellKnownSupport")
            .returns::<shapes::server::Support>(200)
            .summary("Returns the support contacts and the support page of the server")
            .errors(&[(404, "M_NOT_FOUND", "no contacts are set")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#getwell-knownmatrixsupport"),
    ]
}

async fn handle(call: Call) -> Answer {
    match document(&call) {
        Some(document) => reply::ok(&document),
        None => Err(MatrixError::not_found(".well-known not available")),
    }
}

async fn support(call: Call) -> Answer {
    match &call.app.discovery.support {
        Some(support) => reply::ok(support),
        None => Err(MatrixError::not_found("No support information is available")),
    }
}

/// Returns the discovery document, if the public URL is set; a login returns it, too.
pub(crate) fn document(call: &Call) -> Option<Value> {
    let url = call.app.discovery.public_base_url.as_deref()?;
    Some(json!({ "m.homeserver": { "base_url": format!("{}/", url.trim_end_matches('/')) } }))
}
