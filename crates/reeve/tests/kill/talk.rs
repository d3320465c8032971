//! Users who talk in rooms while the server is killed, and their knowledge.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::Sender as Channel;

use serde_json::{Value, json};

use crate::http::{Client, Cut};
use crate::model::Dice;
use crate::process::SERVER_NAME;

const CS: &str = "/_matrix/client/v3";
/// The number of rooms that each talker creates.
const ROOMS: usize = 4;
/// The type of the state that each talker sets under a key of its own.
pub(crate) const NOTE: &str = "org.example.note";

/// The rooms that are open to everybody.
pub(crate) type Board = Mutex<Vec<String>>;

/// An act of a talker, in one request. Every `stamp` is used once, so that its effects can be found.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Create { stamp: String },
    Join { room: String },
    Leave { room: String },
    Say { room: String, stamp: String },
    Redact { room: String, event: String, stamp: String },
    Note { room: String, stamp: String },
    Topic { room: String, stamp: String },
    Read { room: String, event: String },
}

/// The state of a room for a talker.
#[derive(Default)]
pub(crate) struct Part {
    /// True if the talker created the room. The creator never leaves it.
    pub(crate) own: bool,
    /// Each change of the own membership, in order.
    pub(crate) moves: Vec<&'static str>,
    /// The talker's other events, in order.
    pub(crate) sent: Vec<String>,
    /// Those of it that can be redacted.
    pub(crate) messages: Vec<String>,
    /// Redacted events, each with its redaction.
    pub(crate) redacted: BTreeMap<String, String>,
    pub(crate) note: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) read: Option<String>,
}

impl Part {
    pub(crate) fn is_in(&self) -> bool {
        self.moves.last() == Some(&"join")
    }
}

/// A user who talks, one request after the other.
pub(crate) struct Talker {
    pub(crate) user_id: String,
    pub(crate) token: String,
    pub(crate) parts: BTreeMap<String, Part>,
    pub(crate) in_flight: Option<Act>,
    /// The last request with a transaction id that was acknowledged, and the event it made.
    pub(crate) last: Option<(Act, String)>,
    /// Events that were acknowledged since they were last looked for: room and id.
    pub(crate) fresh: Vec<(String, String)>,
    /// Rooms in which something may have changed since they were last looked at.
    pub(crate) touched: BTreeSet<String>,
    pub(crate) acknowledged: u64,
    pub(crate) landed: u64,
    /// The users that new rooms invite.
    guest: String,
    dice: Dice,
    stamps: u64,
}

/// An account with a session: its id and token.
pub(crate) fn person(address: SocketAddr, admin: &str, name: &str) -> (String, String) {
    let user_id = format!("@{name}:{SERVER_NAME}");
    let mut client = Client::new(address, Some(admin));
    let path = format!("/_synapse/admin/v2/users/{user_id}");
    assert_eq!(client.send("PUT", &path, &json!({ "password": name })).unwrap().status, 201);
    let identifier = json!({ "type": "m.id.user", "user": user_id });
    let body = json!({ "type": "m.login.password", "identifier": identifier, "password": name });
    let reply = client.send("POST", &format!("{CS}/login"), &body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    (user_id, reply.text("access_token").to_owned())
}

/// Where something in a room is.
pub(crate) fn path(room: &str, rest: &str) -> String {
    format!("{CS}/rooms/{room}/{rest}")
}

impl Act {
    /// The room it is about; none for one that is still to be created.
    pub(crate) fn room(&self) -> Option<&str> {
        match self {
            Self::Create { .. } => None,
            Self::Join { room }
            | Self::Leave { room }
            | Self::Say { room, .. }
            | Self::Redact { room, .. }
            | Self::Note { room, .. }
            | Self::Topic { room, .. }
            | Self::Read { room, .. } => Some(room),
        }
    }

    /// Method, path and body.
    pub(crate) fn request(&self, user_id: &str, guest: &str) -> (&'static str, String, Value) {
        match self {
            Self::Create { stamp } => {
                let body = json!({
                    "preset": "public_chat", "name": stamp, "invite": [guest],
                    "power_level_content_override": { "events": { NOTE: 0 } },
                });
                ("POST", format!("{CS}/createRoom"), body)
            }
            Self::Join { room } => ("POST", path(room, "join"), json!({})),
            Self::Leave { room } => ("POST", path(room, "leave"), json!({})),
            Self::Say { room, stamp } => {
                let body = json!({ "msgtype": "m.text", "body": stamp });
                ("PUT", path(room, &format!("send/m.room.message/{stamp}")), body)
            }
            Self::Redact { room, event, stamp } => {
                ("PUT", path(room, &format!("redact/{event}/{stamp}")), json!({ "reason": stamp }))
            }
            Self::Note { room, stamp } => {
                let key = note_key(user_id);
                ("PUT", path(room, &format!("state/{NOTE}/{key}")), json!({ "note": stamp }))
            }
            Self::Topic { room, stamp } => {
                ("PUT", path(room, "state/m.room.topic"), json!({ "topic": stamp }))
            }
            Self::Read { room, event } => ("POST", path(room, &format!("receipt/m.read/{event}")), json!({})),
        }
    }

    /// The words that distinguish its event from all others.
    pub(crate) fn stamp(&self) -> Option<&str> {
        match self {
            Self::Create { stamp }
            | Self::Say { stamp, .. }
            | Self::Redact { stamp, .. }
            | Self::Note { stamp, .. }
            | Self::Topic { stamp, .. } => Some(stamp),
            Self::Join { .. } | Self::Leave { .. } | Self::Read { .. } => None,
        }
    }

    /// True if the request has a transaction id, so that it can be repeated.
    pub(crate) fn is_repeatable(&self) -> bool {
        matches!(self, Self::Say { .. } | Self::Redact { .. })
    }
}

/// The key of a talker's own state. A whole user id would be reserved to its owner in all rooms.
pub(crate) fn note_key(user_id: &str) -> &str {
    user_id.trim_start_matches('@').split(':').next().unwrap()
}

impl Talker {
    pub(crate) fn new(address: SocketAddr, admin: &str, guest: &str, number: u64, seed: u64) -> Self {
        let (user_id, token) = person(address, admin, &format!("talker{number}"));
        Self {
            user_id,
            token,
            parts: BTreeMap::new(),
            in_flight: None,
            last: None,
            fresh: Vec::new(),
            touched: BTreeSet::new(),
            acknowledged: 0,
            landed: 0,
            guest: guest.to_owned(),
            dice: Dice(seed ^ (number + 101).wrapping_mul(0xd134_2543_de82_ef95)),
            stamps: 0,
        }
    }

    /// Talks until the server is gone.
    pub(crate) fn work(&mut self, address: SocketAddr, board: &Board, acknowledged: Channel<()>) {
        let mut client = Client::new(address, Some(&self.token));
        loop {
            let act = self.choose(board);
            let Ok(answer) = self.ask(&mut client, &act) else {
                self.in_flight = Some(act);
                return;
            };
            self.acknowledged += 1;
            self.happened(&act, &answer, board);
            // The kill may have been ordered already.
            let _ = acknowledged.send(());
        }
    }

    /// Sends the request of an act, which must succeed, and returns the body of the response.
    pub(crate) fn ask(&self, client: &mut Client, act: &Act) -> Result<Value, Cut> {
        let (method, path, body) = act.request(&self.user_id, &self.guest);
        let reply = client.send(method, &path, &body)?;
        assert_eq!(reply.status, 200, "{} {method} {path} {body}: {}", self.user_id, reply.body);
        Ok(reply.body)
    }

    /// Records an act. `answer` names the room of a new room, and the event of other acts.
    pub(crate) fn happened(&mut self, act: &Act, answer: &Value, board: &Board) {
        let id = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        let room = act.room().map_or_else(|| id("room_id"), str::to_owned);
        assert!(!room.is_empty(), "{act:?}: {answer}");
        let part = self.parts.entry(room.clone()).or_default();
        let event = id("event_id");
        match act {
            Act::Create { .. } => {
                part.own = true;
                part.moves.push("join");
                board.lock().unwrap().push(room.clone());
            }
            Act::Join { .. } => part.moves.push("join"),
            Act::Leave { .. } => part.moves.push("leave"),
            Act::Say { .. } => part.messages.push(event.clone()),
            Act::Redact { event: target, .. } => {
                part.redacted.insert(target.clone(), event.clone());
                part.messages.retain(|message| message != target);
            }
            Act::Note { stamp, .. } => part.note = Some(stamp.clone()),
            Act::Topic { stamp, .. } => part.topic = Some(stamp.clone()),
            Act::Read { event, .. } => {
                // Receipts only move forward.
                let place = |event: &String| part.sent.iter().position(|sent| sent == event);
                if part.read.as_ref().and_then(place) < place(event) {
                    part.read = Some(event.clone());
                }
            }
        }
        if !event.is_empty() {
            part.sent.push(event.clone());
            self.fresh.push((room.clone(), event.clone()));
        }
        if act.is_repeatable() {
            self.last = Some((act.clone(), event));
        }
        self.touched.insert(room);
    }

    /// The next act, and its room.
    fn choose(&mut self, board: &Board) -> Act {
        self.stamps += 1;
        let stamp = format!("{}-{}", note_key(&self.user_id), self.stamps);
        let own = self.parts.values().filter(|part| part.own).count();
        let mine: Vec<_> = self.parts.iter().filter(|(_, part)| part.is_in()).collect();
        if mine.is_empty() || (own < ROOMS && self.dice.roll(20) == 0) {
            return Act::Create { stamp };
        }
        let (room, part) = pick(&mut self.dice, &mine);
        let room = (*room).clone();
        match self.dice.roll(20) {
            0 => {
                let board = board.lock().unwrap();
                let others: Vec<_> = board
                    .iter()
                    .filter(|room| self.parts.get(*room).is_none_or(|part| !part.is_in()))
                    .collect();
                if others.is_empty() {
                    Act::Say { room, stamp }
                } else {
                    Act::Join { room: (*pick(&mut self.dice, &others)).clone() }
                }
            }
            1 if !part.own => Act::Leave { room },
            2..5 => Act::Note { room, stamp },
            5 if part.own => Act::Topic { room, stamp },
            6..8 if !part.messages.is_empty() => {
                Act::Redact { room, event: pick(&mut self.dice, &part.messages).clone(), stamp }
            }
            8..10 if !part.messages.is_empty() => {
                Act::Read { room, event: part.messages.last().unwrap().clone() }
            }
            _ => Act::Say { room, stamp },
        }
    }
}

fn pick<'a, T>(dice: &mut Dice, items: &'a [T]) -> &'a T {
    &items[usize::try_from(dice.roll(items.len() as u64)).unwrap()]
}
