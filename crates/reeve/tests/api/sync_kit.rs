//! Helpers for tests of sync and of administrators' acts on users in rooms, beside `rooms_kit`.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_testkit::{Client, Reply, tokio};
use serde_json::{Value, json};

use crate::rooms_kit::{CS, at, enc, filter, list, next, now, of_kind, ok, sync_with};

/// The part of a sync about a room that one is not in: `part` is `invite`, `knock` or `leave`.
pub(crate) fn section<'a>(sync: &'a Value, part: &str, room: &str) -> &'a Value {
    &sync["rooms"][part][room]
}

/// The rooms that a part of a sync names, in order.
pub(crate) fn rooms_in(sync: &Value, part: &str) -> Vec<String> {
    let mut rooms: Vec<String> =
        sync["rooms"][part].as_object().map(|rooms| rooms.keys().cloned().collect()).unwrap_or_default();
    rooms.sort();
    rooms
}

/// The content of an ephemeral event of a room; null if there is none.
pub(crate) fn ephemeral<'a>(sync: &'a Value, room: &str, kind: &str) -> &'a Value {
    content(of_kind(list(&sync["rooms"]["join"][room], "/ephemeral/events"), kind))
}

/// The content of account data of a room in a sync; null if there is none.
pub(crate) fn room_data<'a>(sync: &'a Value, room: &str, kind: &str) -> &'a Value {
    content(of_kind(list(&sync["rooms"]["join"][room], "/account_data/events"), kind))
}

/// The content of global account data in a sync; null if there is none.
pub(crate) fn global_data<'a>(sync: &'a Value, kind: &str) -> &'a Value {
    content(of_kind(list(sync, "/account_data/events"), kind))
}

/// The content of an event; null without event.
pub(crate) fn content(event: Option<&Value>) -> &Value {
    event.map_or(&Value::Null, |event| &event["content"])
}

/// The state of a room after a part of a sync: `state`, then the changes in `timeline`.
pub(crate) fn state_after(room: &Value) -> BTreeMap<(String, String), Value> {
    let (state, timeline) = (list(room, "/state/events"), list(room, "/timeline/events"));
    let mut all = BTreeMap::new();
    for event in state.iter().chain(timeline) {
        if event.get("state_key").is_some() {
            let key = (at(event, "/type").to_owned(), at(event, "/state_key").to_owned());
            all.insert(key, event["content"].clone());
        }
    }
    all
}

/// Of one type of state, the keys that a list of events has, in order.
pub(crate) fn keys_of(events: &[Value], kind: &str) -> Vec<String> {
    let keys = events.iter().filter(|event| event["type"] == kind && event.get("state_key").is_some());
    let mut keys: Vec<String> = keys.map(|event| at(event, "/state_key").to_owned()).collect();
    keys.sort();
    keys
}

/// The unread messages of a room in a sync: all, and those that are highlighted.
pub(crate) fn unread(sync: &Value, room: &str) -> (i64, i64) {
    counts(&sync["rooms"]["join"][room]["unread_notifications"])
}

/// A pair of counts: all, and highlighted ones.
pub(crate) fn counts(counts: &Value) -> (i64, i64) {
    let count = |key: &str| counts[key].as_i64().unwrap_or_default();
    (count("notification_count"), count("highlight_count"))
}

/// Asserts that in stripped state only the user's own membership is a whole event, and the last one.
pub(crate) fn only_own_is_whole(stripped: &[Value], user_id: &str) {
    let (own, others) = stripped.split_last().unwrap();
    assert_eq!((at(own, "/type"), at(own, "/state_key")), ("m.room.member", user_id));
    assert!(at(own, "/event_id").starts_with('$') && own["origin_server_ts"].is_i64(), "{own}");
    assert!(own["unsigned"]["age"].is_i64() && own.get("room_id").is_none(), "{own}");
    for other in others {
        let mut keys: Vec<&String> = other.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["content", "sender", "state_key", "type"]);
    }
}

/// A first sync with a filter.
pub(crate) async fn sync_filtered(client: &Client, by: &Value) -> Value {
    sync_with(client, &format!("timeout=0&{}", filter(by))).await
}

/// The changes since a position, with a filter, without waiting.
pub(crate) async fn since_filtered(client: &Client, since: &str, by: &Value) -> Value {
    sync_with(client, &format!("timeout=0&since={}&{}", enc(since), filter(by))).await
}

/// Long polls until one has what is looked for, with something done meanwhile. The polls could last half a minute
/// each, but what is done must end them soon.
pub(crate) async fn woken(
    client: &Client,
    what: impl Fn(&Value) -> bool,
    deed: impl Future<Output = ()>,
) -> Value {
    let mut since = now(client).await;
    let polls = async {
        loop {
            let sync = sync_with(client, &format!("timeout=30000&since={}", enc(&since))).await;
            if what(&sync) {
                return sync;
            }
            since = next(&sync);
        }
    };
    let deed = async {
        // Gives the poll time to arrive, though it need not.
        ok(client.get(&format!("{CS}/account/whoami")).await);
        deed.await;
    };
    let both = async { tokio::join!(polls, deed).0 };
    tokio::time::timeout(Duration::from_secs(20), both).await.unwrap()
}

/// Sets global account data.
pub(crate) async fn set_data(client: &Client, kind: &str, content: Value) {
    ok(client.put(&format!("{CS}/user/{}/account_data/{}", client.user_id, enc(kind)), content).await);
}

/// Sets the displayname.
pub(crate) async fn rename(client: &Client, name: &str) {
    let path = format!("{CS}/profile/{}/displayname", client.user_id);
    ok(client.put(&path, json!({ "displayname": name })).await);
}

/// Gives a user a unique name, and returns it.
pub(crate) async fn unique_name(client: &Client) -> String {
    let name = format!("Name{}", client.device_id);
    rename(client, &name).await;
    name
}

/// Searches the user directory, a bounded number of times, until it finds a user by a name, or does not find
/// it.
pub(crate) async fn directory_until(client: &Client, name: &str, user_id: &str, found: bool) {
    let since = now(client).await;
    for _ in 0..100 {
        let body =
            ok(client.post(&format!("{CS}/user_directory/search"), json!({ "search_term": name })).await);
        if list(&body, "/results").iter().any(|user| user["user_id"] == user_id) == found {
            return;
        }
        ok(client.get(&format!("{CS}/sync?timeout=100&since={}", enc(&since))).await);
    }
    panic!("{user_id} by {name}: {}", if found { "never found" } else { "found again and again" });
}

/// Repeats a request, a bounded number of times, until a response is as expected: for work of the server in the
/// background. Between two times a sync waits a little.
pub(crate) async fn eventually(client: &Client, path: &str, what: impl Fn(&Reply) -> bool) -> Reply {
    let since = now(client).await;
    let mut last = None;
    for _ in 0..100 {
        let reply = client.get(path).await;
        if what(&reply) {
            return reply;
        }
        last = Some(reply);
        ok(client.get(&format!("{CS}/sync?timeout=100&since={}", enc(&since))).await);
    }
    panic!("{path} never became so: {last:?}");
}
