//! The server's name and signing keys, signed. Admin tools read the server name from this route.
//! <https://spec.matrix.org/v1.18/server-server-api/#publishing-keys>

use reeve_app::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_model::encoding::unpadded_base64;
use ruma::canonical_json::try_from_json_map;
use serde_json::{Value, json};

use crate::shapes;

/// The time for which others may cache the response.
const VALID_MS: i64 = 24 * 3600 * 1000;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/key/v2/server", keys)
            .access(Access::Anybody)
            .id("getServerKey")
            .returns::<shapes::server::ServerKeys>(200)
            .summary("Returns the server's name and signing keys")
            .spec("https://spec.matrix.org/v1.18/server-server-api/#get_matrixkeyv2server"),
    ]
}

async fn keys(call: Call) -> Answer {
    let (key, name) = (&call.app.home.key, &*call.app.server_name);
    let mut verify_keys = serde_json::Map::new();
    verify_keys.insert(key.id(), json!({ "key": unpadded_base64(&key.public_key()) }));
    let body = json!({
        "server_name": name,
        "verify_keys": verify_keys,
        "old_verify_keys": {},
        "valid_until_ts": call.now.plus(VALID_MS),
    });
    let Value::Object(body) = body else { return Err(MatrixError::internal("not an object")) };
    let mut body = try_from_json_map(body).map_err(MatrixError::internal)?;
    key.sign(name, &mut body)?;
    reply::ok(&body)
}
