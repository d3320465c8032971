//! Shapes of bodies that many routes share.

use serde_json::Value;
use utoipa::ToSchema;

use crate::body::{Body, Readable};
use crate::json::Object;

/// `{}`.
#[derive(ToSchema)]
pub struct Empty {}

/// A JSON object with arbitrary keys.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub struct AnyObject(pub Object);

impl Body for AnyObject {
    fn of(object: Object) -> Self {
        Self(object)
    }
}

impl Readable for AnyObject {
    type Read = Object;

    const WHAT: &'static str = "an object";

    fn read(value: &Value) -> Option<Object> {
        value.as_object().cloned()
    }
}

/// An event of a room, as clients get it.
#[derive(ToSchema)]
#[schema(example = json!({
    "type": "m.room.message",
    "content": { "msgtype": "m.text", "body": "Hello" },
    "event_id": "$143273582443PhrSn",
    "sender": "@alice:example.org",
    "origin_server_ts": 1_700_000_000_000_i64,
    "room_id": "!636q39766251:example.org",
}))]
#[expect(dead_code, reason = "documents events, which are made elsewhere")]
pub struct ClientEvent {
    #[schema(rename = "type")]
    event_type: String,
    content: AnyObject,
    event_id: String,
    sender: String,
    /// In milliseconds.
    origin_server_ts: i64,
    /// Present for state events.
    state_key: Option<String>,
    /// The event that it redacts, in older room versions.
    redacts: Option<String>,
    /// Present unless the rest of the response names the room.
    room_id: Option<String>,
    /// Data added by the server.
    unsigned: Option<AnyObject>,
}
