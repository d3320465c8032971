//! The workloads: requests, callers, and the parts of responses that must be equal on all servers.

use std::sync::Arc;

use reeve_store::lists::users::OrderBy;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::stage::{Stage, encode, login, message};

/// The kind of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Reads a page of a list, as an administrator.
    List,
    /// Reads data of one account, as an administrator.
    One,
    /// Changes an account, as an administrator.
    Change,
    /// Mostly password hashing.
    Login,
    /// Requests of clients.
    Client,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::List, Self::One, Self::Change, Self::Login, Self::Client];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::List => "Lists of administration",
            Self::One => "Reads of one account",
            Self::Change => "Changes of accounts",
            Self::Login => "Logins",
            Self::Client => "Clients",
        }
    }
}

/// The caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Admin,
    /// The user with the number of the connection.
    Each,
    /// The user who is in all rooms.
    Reader,
    Nobody,
}

pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: String,
}

/// Creates a request, from the number of the connection and that of the request, which is different each time.
type Maker = Arc<dyn Fn(&Stage, usize, usize) -> Request + Send + Sync>;

/// Extracts the part of a response that must be equal on all servers.
type Essence = Arc<dyn Fn(&Value) -> Value + Send + Sync>;

#[derive(Clone)]
pub(super) struct Workload {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) kind: Kind,
    pub(super) who: Who,
    /// The status of a successful response.
    pub(super) status: u16,
    /// True if it adds data to the server, so that workloads that do not must be measured before.
    pub(super) grows: bool,
    pub(super) request: Maker,
    pub(super) essence: Essence,
}

impl Workload {
    fn new(
        kind: Kind,
        who: Who,
        name: impl Into<String>,
        title: impl Into<String>,
        request: impl Fn(&Stage, usize, usize) -> Request + Send + Sync + 'static,
        essence: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            kind,
            who,
            status: 200,
            grows: false,
            request: Arc::new(request),
            essence: Arc::new(essence),
        }
    }

    fn grows(self) -> Self {
        Self { grows: true, ..self }
    }

    fn creates(self) -> Self {
        Self { status: 201, ..self }
    }
}

fn get(path: String) -> Request {
    Request { method: "GET", path, body: String::new() }
}

fn send(method: &'static str, path: String, body: Value) -> Request {
    Request { method, path, body: body.to_string() }
}

/// The values of these keys.
fn values(keys: &'static [&'static str]) -> impl Fn(&Value) -> Value + Send + Sync {
    move |answer| keys.iter().map(|key| answer.get(key).cloned().unwrap_or_default()).collect()
}

/// The total of a list, and the length of the page.
fn size(answer: &Value, total: &str, rows: &str) -> Value {
    json!([answer.get(total), answer.get(rows).and_then(Value::as_array).map(Vec::len)])
}

/// The same and the names on the page, in order.
fn accounts(answer: &Value) -> Value {
    let users = answer.get("users").and_then(Value::as_array).into_iter().flatten();
    json!([size(answer, "total", "users"), users.map(|user| user.get("name")).collect::<Vec<_>>()])
}

/// The number of rooms of the user, and of events in all of them.
fn rooms(answer: &Value) -> Value {
    let joined = answer.pointer("/rooms/join").and_then(Value::as_object);
    let rooms = joined.into_iter().flatten();
    let events = rooms.filter_map(|(_, room)| room.pointer("/timeline/events")?.as_array().map(Vec::len));
    json!([joined.map_or(0, serde_json::Map::len), events.sum::<usize>()])
}

/// The presence of a key.
fn has(key: &'static str) -> impl Fn(&Value) -> Value + Send + Sync {
    move |answer| json!(answer.get(key).is_some())
}

/// One of the existing accounts, in no order.
fn some(stage: &Stage, number: usize) -> String {
    let at = number.wrapping_mul(7919) % stage.names.ids.len().max(1);
    stage.names.ids.get(at).map(|id| encode(id)).unwrap_or_default()
}

fn list(name: &str, title: &str, query: impl Fn(&Stage) -> String + Send + Sync + 'static) -> Workload {
    let request =
        move |stage: &Stage, _, _| get(format!("/_synapse/admin/v2/users?limit=100{}", query(stage)));
    Workload::new(Kind::List, Who::Admin, name, title, request, accounts)
}

/// A list of accounts in some order. Servers may differ in the position of accounts without a value, so the
/// names are only compared if there always is one.
fn sorted(order: &'static str) -> Workload {
    let query = move |_: &Stage| format!("&order_by={order}");
    let list = list(&format!("list-by-{order}"), &format!("List by {order}"), query);
    if ["displayname", "avatar_url", "user_type", "last_seen_ts"].contains(&order) {
        Workload { essence: Arc::new(|answer| size(answer, "total", "users")), ..list }
    } else {
        list
    }
}

/// All workloads, in the order in which they are measured.
pub(super) fn all() -> Vec<Workload> {
    use Kind::{Change, Client, List, Login, One};
    use Who::{Admin, Each, Nobody, Reader};

    let mut all = vec![
        list("list", "List, first page by name", |_| String::new()),
        list("list-deep", "List, page at 90 %", |stage| format!("&from={}", stage.names.shown / 10 * 9)),
    ];
    let orders = OrderBy::ALL.iter().filter(|(_, order_by)| *order_by != OrderBy::Name);
    all.extend(orders.map(|(order, _)| sorted(order)));
    all.extend([
        list("list-admins", "List of administrators", |_| "&admins=true".to_owned()),
        list("search", "Search, few matches", |stage| format!("&name={}", encode(&stage.names.few))),
        list("search-many", "Search, many matches", |stage| format!("&name={}", encode(&stage.names.many))),
        Workload::new(
            List,
            Admin,
            "media",
            "List of an account's media",
            |stage, _, _| get(format!("/_synapse/admin/v1/users/{}/media?limit=100", encode(stage.reader()))),
            |answer| size(answer, "total", "media"),
        ),
        Workload::new(
            List,
            Admin,
            "rooms",
            "List of rooms",
            |_, _, _| get("/_synapse/admin/v1/rooms?limit=100".to_owned()),
            |answer| size(answer, "total_rooms", "rooms"),
        ),
        Workload::new(
            List,
            Admin,
            "statistics",
            "Statistics of media",
            |_, _, _| get("/_synapse/admin/v1/statistics/users/media?limit=100".to_owned()),
            |answer| size(answer, "total", "users"),
        ),
        Workload::new(
            One,
            Admin,
            "account",
            "One account",
            |stage, _, number| get(format!("/_synapse/admin/v2/users/{}", some(stage, number))),
            |answer| {
                let fields = values(&[
                    "name",
                    "displayname",
                    "avatar_url",
                    "admin",
                    "deactivated",
                    "is_guest",
                    "user_type",
                    "creation_ts",
                ]);
                let count = |key| answer.get(key).and_then(Value::as_array).map(Vec::len);
                json!([fields(answer), count("threepids"), count("external_ids")])
            },
        ),
        Workload::new(
            One,
            Admin,
            "devices",
            "Devices of an account",
            |stage, _, number| get(format!("/_synapse/admin/v2/users/{}/devices", some(stage, number))),
            |answer| size(answer, "total", "devices"),
        ),
        Workload::new(
            One,
            Admin,
            "whois",
            "Whois",
            |stage, _, number| get(format!("/_synapse/admin/v1/whois/{}", some(stage, number))),
            values(&["user_id"]),
        ),
        Workload::new(
            Change,
            Admin,
            "modify",
            "Changing a display name",
            |stage, slot, number| {
                let user_id = stage.changed.get(slot).map(|id| encode(id)).unwrap_or_default();
                let body = json!({ "displayname": format!("Somebody {number}") });
                send("PUT", format!("/_synapse/admin/v2/users/{user_id}"), body)
            },
            values(&["name", "displayname"]),
        ),
        Workload::new(
            Client,
            Each,
            "whoami",
            "Whoami",
            |_, _, _| get("/_matrix/client/v3/account/whoami".to_owned()),
            values(&["user_id"]),
        ),
        // Servers cache responses for a while: a different timeout makes a different request. It is never
        // waited for, since there are changes to return.
        Workload::new(
            Client,
            Reader,
            "sync-initial",
            "Initial sync",
            |_, _, number| get(format!("/_matrix/client/v3/sync?timeout={}", number % 30_000)),
            rooms,
        ),
        Workload::new(
            Client,
            Reader,
            "sync",
            "Incremental sync with 10 messages",
            |stage, _, number| {
                let since = encode(&stage.before);
                get(format!("/_matrix/client/v3/sync?since={since}&timeout={}", number % 30_000))
            },
            rooms,
        ),
        Workload::new(
            Client,
            Reader,
            "sync-nothing",
            "Incremental sync with nothing new",
            |stage, _, _| get(format!("/_matrix/client/v3/sync?since={}&timeout=0", encode(&stage.now))),
            rooms,
        ),
        Workload::new(
            Client,
            Each,
            "send",
            "Sending a message",
            |stage, slot, number| {
                let path = stage.people.get(slot).map(|person| message(person, &format!("race{number}")));
                let body = json!({ "msgtype": "m.text", "body": format!("This is message {number}.") });
                send("PUT", path.unwrap_or_default(), body)
            },
            has("event_id"),
        )
        .grows(),
        Workload::new(
            Change,
            Admin,
            "login-as",
            "A token for somebody, by the administrator",
            |stage, slot, _| {
                let user_id = stage.people.get(slot).map(|person| encode(&person.user_id));
                let path = format!("/_synapse/admin/v1/users/{}/login", user_id.unwrap_or_default());
                send("POST", path, json!({}))
            },
            has("access_token"),
        )
        .grows(),
        Workload::new(
            Login,
            Nobody,
            "login",
            "Login with a password",
            |stage, slot, _| {
                let person = stage.people.get(slot).map(|person| login(&person.user_id));
                send("POST", "/_matrix/client/v3/login".to_owned(), person.unwrap_or_default())
            },
            values(&["user_id"]),
        )
        .grows(),
        Workload::new(
            Change,
            Admin,
            "create",
            "Creating an account",
            |stage, _, number| {
                let user_id = encode(&format!("@{}-new-{number}:{}", stage.prefix, stage.server_name));
                send(
                    "PUT",
                    format!("/_synapse/admin/v2/users/{user_id}"),
                    json!({ "displayname": "Newcomer" }),
                )
            },
            values(&["name", "displayname"]),
        )
        .creates()
        .grows(),
    ]);
    all
}
