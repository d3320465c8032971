//! The data that the workloads need on a server: users with tokens, rooms, messages, uploads, and names of
//! existing accounts.

use std::io::{self, Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::target::Target;
use crate::Fallible;

/// The number of pages of names that are read, evenly spread over all accounts, and the length of a page.
const PAGES: u64 = 20;
const NAMES: u64 = 50;
/// The number of messages in each room at first, and of those after the position of the incremental sync.
const MESSAGES: usize = 10;
/// The number of files that one account has uploaded.
const UPLOADS: usize = 100;
/// The password of the users that the race creates.
pub(super) const PASSWORD: &str = "correct horse battery staple";

/// The characters that are not encoded in a segment of a path or a value of a query.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b':')
    .remove(b'!');

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// The existing accounts, as read from the first target; all targets are requested for the same.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The number of accounts, and the number that the list shows by default.
    pub(super) all: u64,
    pub(super) shown: u64,
    /// User ids from all over the list.
    pub(super) ids: Vec<String>,
    /// A part of a name that few accounts share, and one that many do.
    pub(super) few: String,
    pub(super) many: String,
}

impl Names {
    pub(super) async fn learn(target: &Target) -> Fallible<Self> {
        let page = async |from: u64| {
            target.ask("GET", &format!("/_synapse/admin/v2/users?from={from}&limit={NAMES}"), None).await
        };
        let everybody = "/_synapse/admin/v2/users?deactivated=true&locked=true&limit=1";
        let all = total_of(&target.ask("GET", everybody, None).await?)?;
        let shown = total_of(&page(0).await?)?;
        let (mut ids, mut displaynames) = (Vec::new(), Vec::new());
        for number in 0..PAGES {
            let page = page(shown.saturating_sub(NAMES) * number / PAGES).await?;
            for user in page.get("users").and_then(Value::as_array).into_iter().flatten() {
                let text = |key| user.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
                ids.extend(text("name"));
                displaynames.extend(text("displayname"));
            }
        }
        // The administrator already exists.
        let own = own_id(target).await?;
        ids.retain(|id| *id != own);
        ids.dedup();
        let middle = ids.get(ids.len() / 2).ok_or("there are no accounts")?;
        let localpart = middle.trim_start_matches('@').split(':').next().unwrap_or_default();
        // The names near this one that differ in the last two letters.
        let few = localpart.get(..localpart.len().saturating_sub(2)).unwrap_or(localpart).to_owned();
        let many = displaynames.get(displaynames.len() / 2).and_then(|name| name.split(' ').next());
        let many = many.unwrap_or("a").to_lowercase();
        Ok(Self { all, shown, ids, few, many })
    }
}

/// The user id of the administrator.
async fn own_id(target: &Target) -> Fallible<String> {
    let whoami = target.ask("GET", "/_matrix/client/v3/account/whoami", None).await?;
    Ok(whoami.get("user_id").and_then(Value::as_str).ok_or("the administrator has no user id")?.to_owned())
}

fn total_of(page: &Value) -> Fallible<u64> {
    Ok(page.get("total").and_then(Value::as_u64).ok_or("the list has no total")?)
}

/// A user that the race has created.
pub(super) struct Person {
    pub(super) user_id: String,
    pub(super) token: String,
    /// The room that this user sends to.
    pub(super) room: String,
}

/// One server with the data that the workloads need.
pub(super) struct Stage {
    /// The prefix of all names that the race creates; it sorts after most names.
    pub(super) prefix: String,
    pub(super) server_name: String,
    pub(super) names: Names,
    /// One for each connection. The first is in the rooms of all.
    pub(super) people: Vec<Person>,
    /// Accounts in no room, one for each connection, that are changed.
    pub(super) changed: Vec<String>,
    /// The positions at which an incremental sync of the first user begins: before the last messages, and at
    /// the end.
    pub(super) before: String,
    pub(super) now: String,
}

impl Stage {
    /// Creates the data for some connections.
    pub(super) async fn set(
        target: &Target,
        prefix: &str,
        names: &Names,
        connections: usize,
    ) -> Fallible<Self> {
        eprint!("{}: preparing ", target.name);
        let own = own_id(target).await?;
        let (_, server_name) = own.split_once(':').ok_or("the administrator has no user id")?;

        let mut people = Vec::new();
        let mut changed = Vec::new();
        for number in 0..connections {
            people.push(person(target, &format!("{prefix}-{number}"), server_name).await?);
            let user_id = format!("@{prefix}-changed-{number}:{server_name}");
            make(target, &user_id, json!({ "displayname": "Somebody" })).await?;
            changed.push(user_id);
            step()?;
        }
        let reader = people.first().ok_or("there must be a connection")?;
        for person in &people {
            if person.user_id != reader.user_id {
                let path = format!("/_matrix/client/v3/join/{}", encode(&person.room));
                target.ask_as(&reader.token, "POST", &path, Some(json!({}))).await?;
            }
            for message in 0..MESSAGES {
                say(target, person, &format!("first{message}")).await?;
            }
            step()?;
        }
        for number in 0..UPLOADS {
            let path = format!("/_matrix/media/v3/upload?filename=file{number}.txt");
            target.ask_as(&reader.token, "POST", &path, Some(json!(number))).await?;
        }
        let before = position(target, reader, "").await?;
        let last = people.last().unwrap_or(reader);
        for message in 0..MESSAGES {
            say(target, last, &format!("then{message}")).await?;
        }
        let now = position(target, reader, &format!("&since={}", encode(&before))).await?;
        eprintln!(" done");
        Ok(Self {
            prefix: prefix.to_owned(),
            server_name: server_name.to_owned(),
            names: names.clone(),
            people,
            changed,
            before,
            now,
        })
    }

    /// The user who is in all rooms and has uploaded files.
    pub(super) fn reader(&self) -> &str {
        self.people.first().map_or("", |reader| &reader.user_id)
    }
}

/// Progress.
fn step() -> io::Result<()> {
    eprint!(".");
    io::stderr().flush()
}

async fn make(target: &Target, user_id: &str, account: Value) -> Fallible<Value> {
    target.ask("PUT", &format!("/_synapse/admin/v2/users/{}", encode(user_id)), Some(account)).await
}

/// Creates an account that is logged in and has a room.
async fn person(target: &Target, localpart: &str, server_name: &str) -> Fallible<Person> {
    let user_id = format!("@{localpart}:{server_name}");
    make(target, &user_id, json!({ "displayname": "Somebody", "password": PASSWORD })).await?;
    let login = target.ask_as("", "POST", "/_matrix/client/v3/login", Some(login(localpart))).await?;
    let token = login.get("access_token").and_then(Value::as_str).ok_or("no token")?.to_owned();
    let room = json!({ "preset": "public_chat", "name": localpart });
    let room = target.ask_as(&token, "POST", "/_matrix/client/v3/createRoom", Some(room)).await?;
    let room = room.get("room_id").and_then(Value::as_str).ok_or("no room")?.to_owned();
    Ok(Person { user_id, token, room })
}

/// The body of a login.
pub(super) fn login(user: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user },
        "password": PASSWORD,
    })
}

/// The path for a message of a user.
pub(super) fn message(person: &Person, transaction: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{transaction}", encode(&person.room))
}

async fn say(target: &Target, person: &Person, transaction: &str) -> Fallible<()> {
    let body = json!({ "msgtype": "m.text", "body": transaction });
    target.ask_as(&person.token, "PUT", &message(person, transaction), Some(body)).await.map(drop)
}

/// The current position of a user. A repeated request might be answered from a cache.
async fn position(target: &Target, person: &Person, since: &str) -> Fallible<String> {
    let path = format!("/_matrix/client/v3/sync?timeout=0{since}");
    let answer = target.ask_as(&person.token, "GET", &path, None).await?;
    Ok(answer.get("next_batch").and_then(Value::as_str).ok_or("no position")?.to_owned())
}
