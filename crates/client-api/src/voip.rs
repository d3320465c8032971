//! Voice and video calls.
//! <https://spec.matrix.org/v1.18/client-server-api/#voice-over-ip>

use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use reeve_app::{Access, Answer, Call, MatrixError, Route, Turn, TurnCredentials, reply};
use reeve_model::Millis;
use reeve_model::encoding::base64;
use serde_json::json;
use sha1::Sha1;

use crate::rooms::v3;
use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::GET, "voip/turnServer", turn_server)
            .access(Access::Guest)
            .id("getTurnServer")
            .returns::<shapes::server::TurnServer>(200)
            .summary("Returns the TURN servers for calls, with credentials")
            .description("The response is an empty object if no TURN servers are set, or none for guests.")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3voipturnserver"),
    ]
}

async fn turn_server(call: Call) -> Answer {
    let user = call.user()?;
    let Some(turn) = call.app.discovery.turn.as_ref().filter(|turn| turn.guests || !user.is_guest) else {
        return reply::empty();
    };
    let (username, password) = match &turn.credentials {
        TurnCredentials::Fixed { username, password } => (username.clone(), password.clone()),
        TurnCredentials::Secret(secret) => credentials(turn, secret, &user.user_id, call.now)?,
    };
    reply::ok(&json!({
        "username": username,
        "password": password,
        "uris": turn.uris,
        "ttl": turn.lifetime_ms / 1000,
    }))
}

/// Returns a user name that contains its expiry in seconds, and the matching password.
/// <https://datatracker.ietf.org/doc/html/draft-uberti-behave-turn-rest-00>
fn credentials(
    turn: &Turn,
    secret: &str,
    user_id: &str,
    now: Millis,
) -> Result<(String, String), MatrixError> {
    let until = now.plus(turn.lifetime_ms).secs();
    let username = format!("{until}:{user_id}");
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).map_err(MatrixError::internal)?;
    mac.update(username.as_bytes());
    Ok((username, base64(&mac.finalize().into_bytes())))
}
