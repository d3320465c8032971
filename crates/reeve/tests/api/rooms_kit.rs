//! Helpers for tests of rooms and sync. Each function asserts success, and returns the data that tests continue
//! with; requests that are to be refused are written out in the test (`room_path`).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use reeve_testkit::{Client, Reply};
use serde_json::{Value, json};

/// Where the client API begins.
pub(crate) const CS: &str = "/_matrix/client/v3";

/// The maximum number of rounds of a bounded loop of long polls.
const ROUNDS: usize = 20;

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A text as one segment of a path, or as a value in a query.
pub(crate) fn enc(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `/_matrix/client/v3/rooms/{room}/{rest}`; `rest` stands as it is.
pub(crate) fn room_path(room: &str, rest: &str) -> String {
    format!("{CS}/rooms/{}/{rest}", enc(room))
}

/// An unused transaction id.
pub(crate) fn txn() -> String {
    format!("txn{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The body of a reply that must be 200.
pub(crate) fn ok(reply: Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

/// Status and errcode of a refusal; the wording is free.
pub(crate) fn code(reply: &Reply) -> (u16, &str) {
    let (status, code, _) = reply.refusal();
    (status, code)
}

/// A text at a JSON pointer; blank if there is none.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of the list at a JSON pointer; none if there is no list.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The ids of the events in a list.
pub(crate) fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| at(event, "/event_id")).collect()
}

/// The bodies of the messages in a list; other events are left out.
pub(crate) fn bodies(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter(|event| event["type"] == "m.room.message")
        .map(|event| at(event, "/content/body"))
        .collect()
}

/// Creates a room and gives its id.
pub(crate) async fn create(client: &Client, body: Value) -> String {
    let body = ok(client.post(&format!("{CS}/createRoom"), body).await);
    at(&body, "/room_id").to_owned()
}

/// Creates a room that everybody may join.
pub(crate) async fn create_public(client: &Client) -> String {
    create(client, json!({ "preset": "public_chat" })).await
}

/// Creates a room of the public kind in one room version.
pub(crate) async fn create_version(client: &Client, version: &str) -> String {
    create(client, json!({ "preset": "public_chat", "room_version": version })).await
}

/// The room version that new rooms get.
pub(crate) async fn default_version(client: &Client) -> String {
    let body = ok(client.get(&format!("{CS}/capabilities")).await);
    at(&body, "/capabilities/m.room_versions/default").to_owned()
}

/// Joins by id or alias.
pub(crate) async fn join(client: &Client, room_or_alias: &str) {
    ok(client.post(&format!("{CS}/join/{}", enc(room_or_alias)), json!({})).await);
}

/// Invites one and lets them join.
pub(crate) async fn bring(host: &Client, room: &str, guest: &Client) {
    invite(host, room, &guest.user_id).await;
    join(guest, room).await;
}

/// Invites.
pub(crate) async fn invite(client: &Client, room: &str, user_id: &str) {
    ok(client.post(&room_path(room, "invite"), json!({ "user_id": user_id })).await);
}

/// Leaves, or declines an invitation.
pub(crate) async fn leave(client: &Client, room: &str) {
    ok(client.post(&room_path(room, "leave"), json!({})).await);
}

/// Forgets.
pub(crate) async fn forget(client: &Client, room: &str) {
    ok(client.post(&room_path(room, "forget"), json!({})).await);
}

/// Kicks.
pub(crate) async fn kick(client: &Client, room: &str, user_id: &str) {
    ok(client.post(&room_path(room, "kick"), json!({ "user_id": user_id })).await);
}

/// Bans.
pub(crate) async fn ban(client: &Client, room: &str, user_id: &str) {
    ok(client.post(&room_path(room, "ban"), json!({ "user_id": user_id })).await);
}

/// Lifts a ban.
pub(crate) async fn unban(client: &Client, room: &str, user_id: &str) {
    ok(client.post(&room_path(room, "unban"), json!({ "user_id": user_id })).await);
}

/// Tries to send an event, with a new transaction id.
pub(crate) async fn try_send(client: &Client, room: &str, kind: &str, content: Value) -> Reply {
    client.put(&room_path(room, &format!("send/{}/{}", enc(kind), txn())), content).await
}

/// Sends an event and gives its id.
pub(crate) async fn send(client: &Client, room: &str, kind: &str, content: Value) -> String {
    let body = ok(try_send(client, room, kind, content).await);
    at(&body, "/event_id").to_owned()
}

/// Sends a text message and gives the event's id.
pub(crate) async fn say(client: &Client, room: &str, text: &str) -> String {
    send(client, room, "m.room.message", json!({ "msgtype": "m.text", "body": text })).await
}

/// Sends the messages `PREFIX0`, `PREFIX1` and so on, and gives the ids of the events.
pub(crate) async fn say_many(client: &Client, room: &str, prefix: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(say(client, room, &format!("{prefix}{number}")).await);
    }
    ids
}

/// Sends a text message that refers to another event (`m.relates_to`), and gives the event's id.
pub(crate) async fn relate(client: &Client, room: &str, text: &str, relates_to: Value) -> String {
    let content = json!({ "msgtype": "m.text", "body": text, "m.relates_to": relates_to });
    send(client, room, "m.room.message", content).await
}

/// Replies in the thread below `root`.
pub(crate) async fn thread(client: &Client, room: &str, root: &str, text: &str) -> String {
    relate(client, room, text, json!({ "rel_type": "m.thread", "event_id": root })).await
}

/// Reacts.
pub(crate) async fn react(client: &Client, room: &str, event: &str, key: &str) -> String {
    let relates_to = json!({ "rel_type": "m.annotation", "event_id": event, "key": key });
    send(client, room, "m.reaction", json!({ "m.relates_to": relates_to })).await
}

/// Replaces the text of a message.
pub(crate) async fn edit(client: &Client, room: &str, event: &str, text: &str) -> String {
    let content = json!({
        "msgtype": "m.text",
        "body": format!("* {text}"),
        "m.new_content": { "msgtype": "m.text", "body": text },
        "m.relates_to": { "rel_type": "m.replace", "event_id": event },
    });
    send(client, room, "m.room.message", content).await
}

/// Redacts and gives the id of the redaction.
pub(crate) async fn redact(client: &Client, room: &str, event: &str) -> String {
    let path = room_path(room, &format!("redact/{}/{}", enc(event), txn()));
    let body = ok(client.put(&path, json!({})).await);
    at(&body, "/event_id").to_owned()
}

/// The path of one piece of state.
pub(crate) fn state_path(room: &str, kind: &str, key: &str) -> String {
    room_path(room, &format!("state/{}/{}", enc(kind), enc(key)))
}

/// Tries to set state.
pub(crate) async fn try_state(client: &Client, room: &str, kind: &str, key: &str, content: Value) -> Reply {
    client.put(&state_path(room, kind, key), content).await
}

/// Sets state and gives the event's id.
pub(crate) async fn set_state(client: &Client, room: &str, kind: &str, key: &str, content: Value) -> String {
    let body = ok(try_state(client, room, kind, key, content).await);
    at(&body, "/event_id").to_owned()
}

/// The content of one piece of state, which must be there.
pub(crate) async fn state(client: &Client, room: &str, kind: &str, key: &str) -> Value {
    ok(client.get(&state_path(room, kind, key)).await)
}

/// The membership of a user as `client` sees it; empty if there is none.
pub(crate) async fn membership(client: &Client, room: &str, user_id: &str) -> String {
    let reply = client.get(&state_path(room, "m.room.member", user_id)).await;
    reply.text("membership").to_owned()
}

/// Changes some keys of the power levels and leaves the others.
pub(crate) async fn change_levels(client: &Client, room: &str, changes: Value) {
    let mut levels = state(client, room, "m.room.power_levels", "").await;
    for (key, value) in changes.as_object().unwrap() {
        levels[key] = value.clone();
    }
    set_state(client, room, "m.room.power_levels", "", levels).await;
}

/// Gives a user a power level.
pub(crate) async fn set_level(client: &Client, room: &str, user_id: &str, level: i64) {
    let mut levels = state(client, room, "m.room.power_levels", "").await;
    levels["users"][user_id] = json!(level);
    set_state(client, room, "m.room.power_levels", "", levels).await;
}

/// Asks for one event.
pub(crate) async fn try_event(client: &Client, room: &str, event: &str) -> Reply {
    client.get(&room_path(room, &format!("event/{}", enc(event)))).await
}

/// One event, which must be visible.
pub(crate) async fn event(client: &Client, room: &str, event: &str) -> Value {
    ok(try_event(client, room, event).await)
}

/// A page of the timeline; `query` without the question mark, for instance `dir=b&limit=5`.
pub(crate) async fn messages(client: &Client, room: &str, query: &str) -> Value {
    ok(client.get(&room_path(room, &format!("messages?{query}"))).await)
}

/// Everything that `messages` gives in one direction, page after page, and how many pages there were.
pub(crate) async fn all_messages(client: &Client, room: &str, query: &str) -> (Vec<Value>, usize) {
    let (mut events, mut from) = (Vec::new(), String::new());
    for pages in 1..=200 {
        let page = messages(client, room, &format!("{query}{from}")).await;
        events.extend_from_slice(list(&page, "/chunk"));
        match page.get("end").and_then(Value::as_str) {
            Some(end) => from = format!("&from={}", enc(end)),
            None => return (events, pages),
        }
    }
    panic!("the timeline does not end");
}

/// The rooms that one is in.
pub(crate) async fn joined_rooms(client: &Client) -> Vec<String> {
    let body = ok(client.get(&format!("{CS}/joined_rooms")).await);
    list(&body, "/joined_rooms").iter().map(|room| room.as_str().unwrap().to_owned()).collect()
}

/// A filter as it stands in a query.
pub(crate) fn filter(filter: &Value) -> String {
    format!("filter={}", enc(&filter.to_string()))
}

/// One sync; `query` without the question mark, for instance `since=…&timeout=0`. No `timeout` is none.
pub(crate) async fn sync_with(client: &Client, query: &str) -> Value {
    ok(client.get(&format!("{CS}/sync?{query}")).await)
}

/// A first sync.
pub(crate) async fn sync(client: &Client) -> Value {
    sync_with(client, "timeout=0").await
}

/// The changes since a position, without waiting.
pub(crate) async fn sync_since(client: &Client, since: &str) -> Value {
    sync_with(client, &format!("timeout=0&since={}", enc(since))).await
}

/// The position after a sync.
pub(crate) fn next(sync: &Value) -> String {
    let next = at(sync, "/next_batch");
    assert!(!next.is_empty(), "a sync without next_batch: {sync}");
    next.to_owned()
}

/// The position of now.
pub(crate) async fn now(client: &Client) -> String {
    next(&sync(client).await)
}

/// Syncs on with long polls until one has what is looked for, and gives that one.
pub(crate) async fn sync_until(client: &Client, since: &str, what: impl Fn(&Value) -> bool) -> Value {
    let mut since = since.to_owned();
    for _ in 0..ROUNDS {
        let sync = sync_with(client, &format!("timeout=1000&since={}", enc(&since))).await;
        if what(&sync) {
            return sync;
        }
        since = next(&sync);
    }
    panic!("it never came in a sync");
}

/// The part of a sync about one room that one is in; null if there is none.
pub(crate) fn joined<'a>(sync: &'a Value, room: &str) -> &'a Value {
    &sync["rooms"]["join"][room]
}

/// The timeline of one room in a sync.
pub(crate) fn timeline<'a>(sync: &'a Value, room: &str) -> &'a [Value] {
    list(joined(sync, room), "/timeline/events")
}

/// The first event of a kind in a list.
pub(crate) fn of_kind<'a>(events: &'a [Value], kind: &str) -> Option<&'a Value> {
    events.iter().find(|event| event["type"] == kind)
}

/// The event of a kind with a state key in a list.
pub(crate) fn of_state<'a>(events: &'a [Value], kind: &str, key: &str) -> Option<&'a Value> {
    events.iter().find(|event| event["type"] == kind && event["state_key"] == key)
}

/// Makes an alias `#NAME:test` and gives it.
pub(crate) async fn add_alias(client: &Client, room: &str, name: &str) -> String {
    let alias = format!("#{name}:test");
    ok(client.put(&format!("{CS}/directory/room/{}", enc(&alias)), json!({ "room_id": room })).await);
    alias
}

/// Sets account data of a room.
pub(crate) async fn set_room_data(client: &Client, room: &str, kind: &str, content: Value) {
    let path = format!("{CS}/user/{}/rooms/{}/account_data/{}", client.user_id, enc(room), enc(kind));
    ok(client.put(&path, content).await);
}

/// Sends a receipt of a kind (`m.read`, `m.read.private`, `m.fully_read`); `body` may name a thread.
pub(crate) async fn receipt(client: &Client, room: &str, kind: &str, event: &str, body: Value) {
    ok(client.post(&room_path(room, &format!("receipt/{kind}/{}", enc(event))), body).await);
}

/// Starts typing for half a minute, or stops.
pub(crate) async fn typing(client: &Client, room: &str, typing: bool) {
    let body = if typing { json!({ "typing": true, "timeout": 30_000 }) } else { json!({ "typing": false }) };
    ok(client.put(&room_path(room, &format!("typing/{}", client.user_id)), body).await);
}
