//! Discovery of signing in with OAuth 2.0.
//! <https://spec.matrix.org/v1.18/client-server-api/#server-metadata-discovery>

use http::{HeaderValue, header};
use reeve_app::{Access, Answer, Call, MatrixError, OAuthSettings, Route, reply};
use reeve_oauth::metadata::ServerMetadata;
use serde_json::json;

use crate::shapes;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1auth_metadata";
const DISABLED: (u16, &str, &str) = (404, "M_UNRECOGNIZED", "the settings do not enable OAuth 2.0");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/v1/auth_metadata", metadata)
            .also("/_matrix/client/unstable/org.matrix.msc2965/auth_metadata")
            .also("/.well-known/openid-configuration")
            .also("/.well-known/oauth-authorization-server")
            .access(Access::Anybody)
            .id("getAuthMetadata")
            .returns::<ServerMetadata>(200)
            .summary("Returns where and how clients sign people in with OAuth 2.0")
            .description("Some clients look for it under `/.well-known/` (RFC 8414).")
            .errors(&[DISABLED])
            .spec(SPEC),
        Route::get("/_matrix/client/unstable/org.matrix.msc2965/auth_issuer", issuer)
            .access(Access::Anybody)
            .id("getAuthIssuer")
            .returns::<shapes::server::AuthIssuer>(200)
            .summary("Returns the identifier of the OAuth 2.0 server, for older clients")
            .errors(&[DISABLED])
            .spec("https://github.com/matrix-org/matrix-spec-proposals/pull/2965"),
    ]
}

fn settings(call: &Call) -> Result<&OAuthSettings, MatrixError> {
    call.app.oauth.as_ref().ok_or_else(|| MatrixError::unrecognized(404))
}

async fn metadata(call: Call) -> Answer {
    let mut response = reply::ok(&ServerMetadata::new(settings(&call)?, &call.app.policy))?;
    let public = HeaderValue::from_static("public, max-age=600");
    response.headers_mut().insert(header::CACHE_CONTROL, public);
    Ok(response)
}

async fn issuer(call: Call) -> Answer {
    reply::ok(&json!({ "issuer": settings(&call)?.issuer() }))
}
