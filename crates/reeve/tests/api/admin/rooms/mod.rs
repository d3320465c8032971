//! Room routes for administrators.

mod block;
mod delete;
mod events;
mod federation;
mod hierarchy;
mod join;
mod list;
mod make_admin;
mod media;
mod purge_history;
mod reports;
mod room;

use http::Method;
use reeve_testkit::{Client, Reply};
use serde_json::{Value, json};

use crate::rooms_kit::{enc, list, ok};

/// Where the administration of rooms begins.
const ROOMS: &str = "/_synapse/admin/v1/rooms";

/// `/_synapse/admin/v1/rooms/{room}{rest}`; `rest` stands as it is.
fn path(room: &str, rest: &str) -> String {
    format!("{ROOMS}/{}{rest}", enc(room))
}

/// The body of a refusal.
fn error(errcode: &str, error: &str) -> Value {
    json!({ "errcode": errcode, "error": error })
}

/// `DELETE` with a body.
async fn delete(client: &Client, path: &str, body: &Value) -> Reply {
    client.send(Method::DELETE, path, &[], body.to_string()).await
}

/// A room as an administrator sees it.
async fn room(admin: &Client, room: &str) -> Value {
    ok(admin.get(&path(room, "")).await)
}

/// The state of a room as an administrator sees it.
async fn current_state(admin: &Client, room: &str) -> Vec<Value> {
    let body = ok(admin.get(&path(room, "/state")).await);
    list(&body, "/state").to_vec()
}

/// The membership of an account as an administrator sees it; blank if it has none.
async fn membership(admin: &Client, room: &str, user_id: &str) -> String {
    let state = current_state(admin, room).await;
    let member = crate::rooms_kit::of_state(&state, "m.room.member", user_id);
    member.map(|event| crate::rooms_kit::at(event, "/content/membership").to_owned()).unwrap_or_default()
}

/// The texts in a list, in order of the alphabet.
fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let mut texts: Vec<String> =
        list(value, pointer).iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

/// All events of a room as an administrator sees them, page after page.
async fn timeline(admin: &Client, room: &str, query: &str) -> Vec<Value> {
    let (mut events, mut from) = (Vec::new(), String::new());
    for _ in 0..200 {
        let page = ok(admin.get(&path(room, &format!("/messages?{query}{from}"))).await);
        events.extend_from_slice(list(&page, "/chunk"));
        match page.get("end").and_then(Value::as_str) {
            Some(end) => from = format!("&from={}", enc(end)),
            None => return events,
        }
    }
    panic!("the timeline does not end");
}
