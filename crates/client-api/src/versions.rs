//! Versions of the specification and features of the server.
//! <https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientversions>

use http::{HeaderValue, header};
use reeve_app::{Access, Answer, Call, OpenTo, Route, reply};
use reeve_store::features;
use serde_json::json;

use crate::shapes;

/// The supported versions of the specification.
pub const VERSIONS: [&str; 27] = [
    "r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3",
    "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13", "v1.14", "v1.15",
    "v1.16", "v1.17", "v1.18", "v1.19",
];

/// Enabling and disabling of pushers from other devices, which administrators allow for single accounts.
const MSC3881: &str = "msc3881";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/versions", handle)
            .access(Access::Optional)
            .open_to(OpenTo {
                locked: true,
                expired_account: true,
                expired_token: true,
                password_change: true,
            })
            .id("getVersions")
            .returns::<shapes::server::Versions>(200)
            .summary(
                "Returns the supported versions of the specification, and the caller's experimental features",
            )
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientversions"),
    ]
}

async fn handle(call: Call) -> Answer {
    let user_num = call.optional_session().map(|session| session.user.num);
    let msc3881 = match user_num {
        Some(num) => call.read(move |tx| features::is_enabled(tx, num, MSC3881)).await?,
        None => false,
    };
    let mut response = reply::ok(&json!({
        "versions": VERSIONS,
        "unstable_features": {
            "org.matrix.msc3881": msc3881,
            "org.matrix.simplified_msc3575": true,
            "uk.half-shot.msc2666.query_mutual_rooms": true,
            "uk.half-shot.msc2666.query_mutual_rooms.stable": true,
            "uk.tcpip.msc4133.stable": true,
        },
    }))?;
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Authorization"));
    if user_num.is_none() {
        let public = "public, max-age=600, s-maxage=3600, stale-while-revalidate=600";
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(public));
    }
    Ok(response)
}
