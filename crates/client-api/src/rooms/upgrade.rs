//! Moving a room to another version.

use http::Method;
use reeve_accounts::sessions::Session;
use reeve_http::{Answer, Call, Limit, MatrixError, Route, reply};
use reeve_rooms::upgrade;
use serde_json::{Value, json};

use super::{home, required_text, v3};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "rooms/{room_id}/upgrade", handle)
            .limit(Limit::Message)
            .summary("Replaces a room by one of another version")
            .errors(&[
                (400, "M_UNSUPPORTED_ROOM_VERSION", "the room version is not supported"),
                (403, "M_FORBIDDEN", "the power is missing"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#room-upgrades"),
    ]
}

async fn handle(mut call: Call) -> Answer {
    let body = call.object().await?;
    let version = required_text(&body, "new_version")?;
    let creators: Vec<String> = match body.get("additional_creators") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(creators)) => creators
            .iter()
            .map(|creator| creator.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| MatrixError::bad_json("'additional_creators' must be a list of user ids"))?,
        Some(_) => return Err(MatrixError::bad_json("'additional_creators' must be a list of user ids")),
    };
    let (home, ctx, room_id) = (home(&call), call.ctx(), call.param("room_id"));
    let replacement = call
        .act(move |tx, Session { user, .. }| {
            upgrade::upgrade(tx, &home, &ctx, user, &room_id, &version, &creators)
        })
        .await?;
    reply::ok(&json!({ "replacement_room": replacement }))
}
