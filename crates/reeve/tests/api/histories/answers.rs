//! All routes that show events, requested after random histories: no response contains an event that `GET
//! event` refuses to the same viewer, and bundled data contains everything that it does not refuse.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use reeve_testkit::{Client, Server, on_both_engines};
use serde_json::{Value, json};

use super::for_all;
use crate::rooms_kit::*;
use crate::sync_kit::set_data;

/// The host stays; so does the witness, who sees everything. The others join and leave.
const HOST: usize = 0;
const GUESTS: std::ops::RangeInclusive<usize> = 1..=3;
const WITNESS: usize = 4;
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
/// The keys of responses with the state of a room, which every viewer of a part of the history can read whole.
const STATE: [&str; 4] = ["state", "state_after", "org.matrix.msc4222.state_after", "required_state"];

/// An attempted act; it may be refused.
#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Leave(usize),
    Forget(usize),
    Invite(usize),
    Kick(usize),
    Ban(usize),
    Unban(usize),
    Visibility(&'static str),
    Topic(usize),
    Rename(usize),
    Say(usize),
    Thread(usize, Index),
    Edit(usize, Index),
    Refer(usize, Index),
    /// Refers from another room.
    ReferFromElsewhere(Index),
    React(usize, Index),
    Redact(usize, Index),
    Ignore(usize, usize),
    HeedAll(usize),
    /// Looks what is new, by both kinds of sync.
    Look(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, guest) = (|| HOST..WITNESS, || GUESTS);
    let which = any::<Index>;
    let visibilities = ["world_readable", "shared", "invited", "joined"];
    prop_oneof![
        5 => guest().prop_map(Step::Join),
        2 => guest().prop_map(Step::Leave),
        1 => guest().prop_map(Step::Forget),
        1 => guest().prop_map(Step::Invite),
        3 => guest().prop_map(Step::Kick),
        2 => guest().prop_map(Step::Ban),
        1 => guest().prop_map(Step::Unban),
        3 => prop::sample::select(visibilities.to_vec()).prop_map(Step::Visibility),
        2 => who().prop_map(Step::Topic),
        2 => who().prop_map(Step::Rename),
        4 => who().prop_map(Step::Say),
        8 => (who(), which()).prop_map(|(who, root)| Step::Thread(who, root)),
        5 => (who(), which()).prop_map(|(who, event)| Step::Edit(who, event)),
        3 => (who(), which()).prop_map(|(who, event)| Step::Refer(who, event)),
        1 => which().prop_map(Step::ReferFromElsewhere),
        1 => (who(), which()).prop_map(|(who, event)| Step::React(who, event)),
        2 => (who(), which()).prop_map(|(who, event)| Step::Redact(who, event)),
        1 => (guest(), who()).prop_map(|(who, whom)| Step::Ignore(who, whom)),
        1 => guest().prop_map(Step::HeedAll),
        3 => guest().prop_map(Step::Look),
    ]
}

/// An event in a response, or its id.
#[derive(Debug)]
struct Shown {
    event_id: String,
    room_id: Option<String>,
    is_state: bool,
    answer: String,
}

/// A response, by its request.
struct Told {
    request: String,
    body: Value,
    is_state: bool,
}

/// The events in a response, wherever they are in it.
fn shown(told: &Told) -> Vec<Shown> {
    let mut found = Vec::new();
    walk(&told.body, told.is_state, &told.request, &mut found);
    found
}

fn walk(value: &Value, is_state: bool, answer: &str, found: &mut Vec<Shown>) {
    let Value::Object(map) = value else {
        value.as_array().into_iter().flatten().for_each(|value| walk(value, is_state, answer, found));
        return;
    };
    let mut add = |event_id: &str, is_state| {
        let room_id = map.get("room_id").and_then(Value::as_str).map(str::to_owned);
        found.push(Shown { event_id: event_id.to_owned(), room_id, is_state, answer: answer.to_owned() });
    };
    let text = |key: &str| map.get(key).and_then(Value::as_str);
    if let Some(event_id) = text("event_id") {
        add(event_id, is_state && map.contains_key("state_key"));
    }
    if let Some(event_id) = text("redacted_by") {
        add(event_id, false);
    }
    // The id of the event that was replaced is no secret, its content is.
    if let Some(event_id) = text("replaces_state").filter(|_| map.contains_key("prev_content")) {
        add(event_id, true);
    }
    for (key, value) in map {
        match key.as_str() {
            "content" | "prev_content" | "account_data" | "ephemeral" | "extensions" => {}
            "unsigned" => walk(value, false, answer, found),
            key => walk(value, is_state || STATE.contains(&key), answer, found),
        }
    }
}

/// A room, and all that happened in it.
struct Room {
    room_id: String,
    events: Vec<Value>,
}

impl Room {
    async fn read(witness: &Client, room_id: &str) -> Self {
        let (events, _) = all_messages(witness, room_id, "dir=f&limit=100").await;
        Self { room_id: room_id.to_owned(), events }
    }

    /// The knowledge of a user about a state event as such: true if it was the state at a time that they can
    /// see.
    fn knows_state(&self, user_id: &str, forgot: bool, event_id: &str) -> bool {
        let (mut visibility, mut membership, mut times) = ("shared", "", Vec::new());
        for event in &self.events {
            match (at(event, "/type"), event["state_key"].as_str()) {
                ("m.room.history_visibility", Some("")) => {
                    visibility = at(event, "/content/history_visibility");
                }
                ("m.room.member", Some(key)) if key == user_id && !forgot => {
                    membership = at(event, "/content/membership");
                }
                _ => {}
            }
            times.push((visibility, membership));
        }
        let is_open = |index: usize| match times[index] {
            (_, "join") | ("world_readable", _) | ("invited", "invite") => true,
            ("shared", _) => times[index..].iter().any(|(_, membership)| *membership == "join"),
            _ => false,
        };
        let from = self.events.iter().position(|event| event["event_id"] == event_id).unwrap();
        let key = |event: &Value| (event["type"].clone(), event["state_key"].clone());
        let rest = self.events.iter().enumerate().skip(from + 1);
        let until = rest.filter(|(_, event)| key(event) == key(&self.events[from])).map(|(index, _)| index);
        (from..until.min().unwrap_or(self.events.len())).any(is_open)
    }
}

struct World<'a> {
    people: &'a [Client],
    room: String,
    elsewhere: String,
    /// The messages outside threads, and all messages.
    roots: Vec<String>,
    said: Vec<String>,
    /// Positions between the steps.
    tokens: Vec<String>,
    /// Users who forgot the room, with no later change of their membership.
    forgot: BTreeSet<usize>,
    /// The tokens up to which guests looked, by both kinds of sync.
    synced: BTreeMap<usize, (String, String)>,
    number: usize,
}

impl<'a> World<'a> {
    async fn new(people: &'a [Client], visibility: &'static str) -> Self {
        let levels = json!({ "state_default": 0, "redact": 0, "events": {} });
        let event =
            json!({ "type": "m.room.history_visibility", "content": { "history_visibility": visibility } });
        let body = json!({
            "preset": "public_chat",
            "power_level_content_override": levels,
            "initial_state": [event],
        });
        let room = create(&people[HOST], body).await;
        let hidden =
            json!({ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } });
        let elsewhere =
            create(&people[HOST], json!({ "preset": "public_chat", "initial_state": [hidden] })).await;
        for room in [&room, &elsewhere] {
            join(&people[WITNESS], room).await;
        }
        join(&people[1], &elsewhere).await;
        for client in people {
            set_data(client, "m.ignored_user_list", json!({ "ignored_users": {} })).await;
        }
        let root = say(&people[HOST], &room, "words 0").await;
        Self {
            people,
            room,
            elsewhere,
            roots: vec![root.clone()],
            said: vec![root],
            tokens: vec![now(&people[WITNESS]).await],
            forgot: BTreeSet::new(),
            synced: BTreeMap::new(),
            number: 0,
        }
    }

    /// Attempts an act; returns the id of the event, if one was created.
    async fn ask(&self, who: usize, method: Method, path: &str, body: Value) -> Option<String> {
        let reply = self.people[who].send(method, path, &[], body.to_string()).await;
        assert!(reply.status < 500, "{path}: {} {}", reply.status, reply.body);
        (reply.status == 200).then(|| reply.text("event_id").to_owned())
    }

    async fn moved(&mut self, by: usize, whom: usize, deed: &str) {
        let body = if by == whom { json!({}) } else { json!({ "user_id": self.people[whom].user_id }) };
        if self.ask(by, Method::POST, &room_path(&self.room, deed), body).await.is_some() {
            self.forgot.remove(&whom);
        }
    }

    async fn send(&self, who: usize, room: &str, kind: &str, content: Value) -> Option<String> {
        let path = room_path(room, &format!("send/{kind}/{}", txn()));
        self.ask(who, Method::PUT, &path, content).await
    }

    async fn relate(&mut self, who: usize, rel_type: &str, event_id: &str) {
        let content = json!({
            "msgtype": "m.text",
            "body": format!("words {}", self.number),
            "m.new_content": { "msgtype": "m.text", "body": "words" },
            "m.relates_to": { "rel_type": rel_type, "event_id": event_id },
        });
        let sent = self.send(who, &self.room, "m.room.message", content).await;
        self.said.extend(sent);
    }

    async fn state(&mut self, who: usize, kind: &str, key: &str, content: Value) {
        let path = state_path(&self.room, kind, key);
        self.ask(who, Method::PUT, &path, content).await;
    }

    async fn step(&mut self, step: &Step) {
        self.number += 1;
        match step {
            Step::Join(who) => self.moved(*who, *who, "join").await,
            Step::Leave(who) => self.moved(*who, *who, "leave").await,
            Step::Forget(who) => {
                let path = room_path(&self.room, "forget");
                if self.ask(*who, Method::POST, &path, json!({})).await.is_some() {
                    self.forgot.insert(*who);
                }
            }
            Step::Invite(whom) => self.moved(HOST, *whom, "invite").await,
            Step::Kick(whom) => self.moved(HOST, *whom, "kick").await,
            Step::Ban(whom) => self.moved(HOST, *whom, "ban").await,
            Step::Unban(whom) => self.moved(HOST, *whom, "unban").await,
            Step::Visibility(value) => {
                let content = json!({ "history_visibility": value });
                self.state(HOST, "m.room.history_visibility", "", content).await;
            }
            Step::Topic(who) => {
                let content = json!({ "topic": format!("words {}", self.number) });
                self.state(*who, "m.room.topic", "", content).await;
            }
            Step::Rename(who) => {
                let user_id = self.people[*who].user_id.clone();
                let is_in = membership(&self.people[WITNESS], &self.room, &user_id).await == "join";
                if is_in {
                    let content = json!({ "membership": "join", "displayname": self.number.to_string() });
                    self.state(*who, "m.room.member", &user_id, content).await;
                }
            }
            Step::Say(who) => {
                let content = json!({ "msgtype": "m.text", "body": format!("words {}", self.number) });
                let sent = self.send(*who, &self.room, "m.room.message", content).await;
                self.roots.extend(sent.clone());
                self.said.extend(sent);
            }
            Step::Thread(who, root) => {
                let root = root.get(&self.roots).clone();
                self.relate(*who, "m.thread", &root).await;
            }
            Step::Edit(who, event) => {
                let event = event.get(&self.said).clone();
                self.relate(*who, "m.replace", &event).await;
            }
            Step::Refer(who, event) => {
                let event = event.get(&self.said).clone();
                self.relate(*who, "m.reference", &event).await;
            }
            Step::ReferFromElsewhere(event) => {
                for rel_type in ["m.reference", "m.replace"] {
                    let relates_to = json!({ "rel_type": rel_type, "event_id": event.get(&self.roots) });
                    let content = json!({ "msgtype": "m.text", "body": "words", "m.relates_to": relates_to });
                    self.send(HOST, &self.elsewhere, "m.room.message", content).await;
                }
            }
            Step::React(who, event) => {
                let relates_to =
                    json!({ "rel_type": "m.annotation", "event_id": event.get(&self.said), "key": "+1" });
                self.send(*who, &self.room, "m.reaction", json!({ "m.relates_to": relates_to })).await;
            }
            Step::Redact(who, event) => {
                let event = event.get(&self.said).clone();
                let path = room_path(&self.room, &format!("redact/{}/{}", enc(&event), txn()));
                self.ask(*who, Method::PUT, &path, json!({ "reason": "words" })).await;
            }
            Step::Ignore(who, whom) => {
                if who != whom {
                    let ignored = json!({ "ignored_users": { &self.people[*whom].user_id: {} } });
                    set_data(&self.people[*who], "m.ignored_user_list", ignored).await;
                }
            }
            Step::HeedAll(who) => {
                set_data(&self.people[*who], "m.ignored_user_list", json!({ "ignored_users": {} })).await;
            }
            Step::Look(who) => {
                let told = self.news(*who).await;
                self.check(*who, &told).await;
            }
        }
        if self.number.is_multiple_of(4) {
            self.tokens.push(now(&self.people[WITNESS]).await);
        }
    }

    async fn get(&self, who: usize, path: &str) -> Option<Told> {
        let reply = self.people[who].get(path).await;
        assert!(matches!(reply.status, 200 | 400 | 403 | 404), "{path}: {} {}", reply.status, reply.body);
        let is_state = path.contains("/state") || path.contains("/members");
        (reply.status == 200).then(|| Told { request: path.to_owned(), body: reply.body, is_state })
    }

    async fn post(&self, who: usize, path: &str, body: &Value) -> Told {
        let answer = ok(self.people[who].post(path, body.clone()).await);
        Told { request: format!("{path} {body}"), body: answer, is_state: false }
    }

    async fn slide(&self, who: usize, query: &str, conn_id: &str, limit: u32, state: &Value) -> Told {
        let config = json!({ "required_state": state, "timeline_limit": limit });
        let mut list = config.clone();
        list["ranges"] = json!([[0, 99]]);
        let body = json!({
            "conn_id": conn_id,
            "lists": { "all": list },
            "room_subscriptions": { &self.room: config.clone(), &self.elsewhere: config },
        });
        self.post(who, &format!("{SLIDING}?timeout=0{query}"), &body).await
    }

    /// The changes since the last sync.
    async fn news(&mut self, who: usize) -> Vec<Told> {
        let (since, pos) = self.synced.get(&who).cloned().unwrap_or_default();
        let by = filter(&json!({ "room": { "timeline": { "limit": 3 } } }));
        let sync = self.get(who, &format!("{CS}/sync?{by}&timeout=0{since}")).await.unwrap();
        let conn_id = format!("{}{who}", self.room);
        let slide = self.slide(who, &pos, &conn_id, 3, &json!([["*", "*"]])).await;
        let since = format!("&since={}", enc(&next(&sync.body)));
        let pos = format!("&pos={}", enc(at(&slide.body, "/pos")));
        self.synced.insert(who, (since, pos));
        vec![sync, slide]
    }

    /// All that shows events.
    async fn ask_all(&mut self, who: usize, rooms: &[Room]) -> Vec<Told> {
        let mut told = self.news(who).await;
        let (lazy, all) = (
            filter(&json!({ "lazy_load_members": true })),
            filter(&json!({ "room": { "include_leave": true, "timeline": { "limit": 100 } } })),
        );
        let few = filter(&json!({ "room": {
            "timeline": { "limit": 1 },
            "state": { "lazy_load_members": true },
            "include_leave": true,
        } }));
        let mut paths = vec![
            format!("{CS}/sync?timeout=0&{all}"),
            format!("{CS}/sync?timeout=0&{few}&use_state_after=true"),
            format!("{CS}/notifications?limit=100"),
        ];
        for token in &self.tokens {
            let since = enc(token);
            paths.push(format!("{CS}/sync?timeout=0&{all}&since={since}"));
            paths.push(format!("{CS}/sync?timeout=0&{few}&since={since}"));
            paths.push(format!("{CS}/sync?timeout=0&{few}&since={since}&use_state_after=true"));
            paths.push(format!("{CS}/sync?timeout=0&{few}&since={since}&full_state=true"));
            paths.push(room_path(&self.room, &format!("members?at={since}")));
            paths.push(room_path(&self.room, &format!("messages?dir=b&limit=3&{lazy}&from={since}")));
        }
        for room in rooms {
            let (room_id, v1) = (&room.room_id, format!("/_matrix/client/v1/rooms/{}", enc(&room.room_id)));
            for rest in [
                "messages?dir=f&limit=100",
                "messages?dir=b&limit=100",
                "state",
                "members",
                "state/m.room.topic/?format=event",
                "state/m.room.create/?format=event",
            ] {
                paths.push(room_path(room_id, rest));
            }
            let host = enc(&self.people[HOST].user_id);
            paths.push(room_path(room_id, &format!("state/m.room.member/{host}?format=event")));
            for rest in ["threads?limit=100", "threads?include=participated"] {
                paths.push(format!("{v1}/{rest}"));
            }
            for event in &room.events {
                let (id, ts) = (enc(at(event, "/event_id")), &event["origin_server_ts"]);
                paths.push(room_path(room_id, &format!("event/{id}")));
                paths.push(room_path(room_id, &format!("context/{id}?limit=3&{lazy}")));
                paths.push(room_path(room_id, &format!("context/{id}?limit=0")));
                paths.push(format!("{v1}/relations/{id}?limit=100"));
                paths.push(format!("{v1}/relations/{id}?limit=100&recurse=true&dir=f"));
                paths.push(format!("{v1}/timestamp_to_event?dir=f&ts={ts}"));
                paths.push(format!("{v1}/timestamp_to_event?dir=b&ts={ts}"));
            }
        }
        for path in paths {
            told.extend(self.get(who, &path).await);
        }
        for (limit, state) in [
            (50, json!([["*", "*"]])),
            (1, json!([["m.room.member", "$LAZY"], ["m.room.topic", ""], ["m.room.member", "$ME"]])),
        ] {
            told.push(self.slide(who, "", &format!("all{limit}"), limit, &state).await);
        }
        let search = json!({ "search_categories": { "room_events": {
            "search_term": "words",
            "include_state": true,
            "event_context": { "include_profile": true },
            "filter": { "limit": 100 },
        } } });
        told.push(self.post(who, &format!("{CS}/search"), &search).await);
        told
    }

    async fn rooms(&self) -> Vec<Room> {
        let witness = &self.people[WITNESS];
        vec![Room::read(witness, &self.room).await, Room::read(witness, &self.elsewhere).await]
    }

    /// Compares responses with those of `GET event`.
    async fn check(&self, who: usize, told: &[Told]) {
        let (client, rooms) = (&self.people[who], self.rooms().await);
        let mut allowed: BTreeMap<String, bool> = BTreeMap::new();
        for shown in told.iter().flat_map(shown) {
            let is_there = |room: &&Room| room.events.iter().any(|event| event["event_id"] == shown.event_id);
            // Of rooms of earlier histories, nothing changes any more.
            let Some(room) = rooms.iter().find(is_there) else { continue };
            if let Some(room_id) = &shown.room_id {
                assert_eq!(*room_id, room.room_id, "{shown:?}");
            }
            let known = if let Some(known) = allowed.get(&shown.event_id) {
                *known
            } else {
                let reply = try_event(client, &room.room_id, &shown.event_id).await;
                assert!(matches!(reply.status, 200 | 404), "{}", reply.body);
                allowed.insert(shown.event_id.clone(), reply.status == 200);
                reply.status == 200
            };
            let forgot = room.room_id == self.room && self.forgot.contains(&who);
            let as_state = || shown.is_state && room.knows_state(&client.user_id, forgot, &shown.event_id);
            assert!(known || as_state(), "{shown:?} for {} in {}", client.user_id, shown.answer);
        }
    }

    /// Compares what is bundled with each event with what relates to it and is not refused.
    async fn check_bundles(&self, who: usize, room: &Room) {
        let client = &self.people[who];
        let mut seen = Vec::new();
        for event in &room.events {
            let reply = try_event(client, &room.room_id, at(event, "/event_id")).await;
            seen.extend((reply.status == 200).then_some(reply.body));
        }
        let related = |event: &Value, rel_type: &str| -> Vec<&Value> {
            let relation = |other: &&Value| {
                let relation = &other["content"]["m.relates_to"];
                relation["event_id"] == event["event_id"] && relation["rel_type"] == rel_type
            };
            seen.iter().filter(relation).collect()
        };
        for event in &seen {
            let bundled = &event["unsigned"]["m.relations"];
            let is = |rel_type: &str| event["content"]["m.relates_to"]["rel_type"] == rel_type;
            let is_redacted = event["content"].as_object().is_some_and(serde_json::Map::is_empty);
            if event.get("state_key").is_some() || is_redacted || at(event, "/type") != "m.room.message" {
                continue;
            }
            let edits = related(event, "m.replace");
            let edit =
                edits.iter().rfind(|edit| edit["sender"] == event["sender"]).filter(|_| !is("m.replace"));
            let edit = edit.map_or("", |edit| at(edit, "/event_id"));
            assert_eq!(at(bundled, "/m.replace/event_id"), edit, "the edit of {event}");
            let references = related(event, "m.reference").into_iter().cloned().collect::<Vec<_>>();
            assert_eq!(ids(list(bundled, "/m.reference/chunk")), ids(&references), "what refers to {event}");
            let replies = related(event, "m.thread");
            let Some(latest) = replies.last() else {
                assert_eq!(bundled.get("m.thread"), None, "the thread of {event}");
                continue;
            };
            let thread = &bundled["m.thread"];
            let own = |event: &Value| event["sender"] == client.user_id;
            let participated = own(event) || replies.iter().any(|reply| own(reply));
            assert_eq!(
                (&thread["count"], &thread["latest_event"]["event_id"], &thread["current_user_participated"]),
                (&json!(replies.len()), &latest["event_id"], &json!(participated)),
                "the thread of {event}"
            );
        }
    }
}

async fn people(server: &Server) -> Vec<Client> {
    let mut people = Vec::new();
    for number in HOST..=WITNESS {
        people.push(server.user(&format!("person{number}")).await);
    }
    people
}

on_both_engines! {
    async fn no_answer_holds_what_get_event_refuses(server: Server) {
        let people = people(&server).await;
        let visibilities = ["world_readable", "shared", "invited", "joined"];
        let case = (prop::sample::select(visibilities.to_vec()), vec(step(), 20..70));
        for_all(4, &case, async |(visibility, steps)| {
            let mut world = World::new(&people, visibility).await;
            for step in &steps {
                world.step(step).await;
            }
            let rooms = world.rooms().await;
            for who in GUESTS {
                let told = world.ask_all(who, &rooms).await;
                world.check(who, &told).await;
                for room in &rooms {
                    world.check_bundles(who, room).await;
                }
            }
            // So that the next history has few rooms to look at.
            for who in GUESTS {
                for room in [&world.room, &world.elsewhere] {
                    people[who].post(&room_path(room, "leave"), json!({})).await;
                    people[who].post(&room_path(room, "forget"), json!({})).await;
                }
            }
        });
    }
}
